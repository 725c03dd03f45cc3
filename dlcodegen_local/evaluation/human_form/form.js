"use strict";
const study = JSON.parse(document.getElementById("study").textContent);
const place = `dlcodegen-${study.study}`;
const codes = study.items.flatMap((item) => item.codes);
const element = (id) => document.getElementById(id);
let shown = 0;
let state = { rater: "", scores: {} };

// Texts become text nodes, never markup.
function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function tell(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(place) ?? "null");
    if (kept && typeof kept.rater === "string" && kept.scores && typeof kept.scores === "object") state = kept;
  } catch {
    tell("What you enter cannot be kept in this browser: download the CSV before you close the page.");
  }
}

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    tell("What you enter cannot be kept in this browser: download the CSV before you close the page.");
  }
  showProgress();
}

function entry(id) {
  return state.scores[id] ?? {};
}

function isRated(id) {
  return study.criteria.every((criterion) => (entry(id)[criterion.name] ?? "") !== "");
}

function showProgress() {
  const rated = codes.filter((code) => isRated(code.id)).length;
  element("progress").textContent = `${rated} of ${codes.length} codes rated`;
  study.items.forEach((item, number) => {
    const done = item.codes.every((code) => isRated(code.id));
    element("choice").options[number].textContent = `Item ${item.number} of ${study.items.length}${done ? " \u2713" : ""}`;
  });
  for (const card of document.querySelectorAll(".card")) card.classList.toggle("done", isRated(card.dataset.id));
}

function scale(code, criterion) {
  const chosen = entry(code.id)[criterion.name] ?? "";
  const choices = ["", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(String).map((value) => {
    const input = make("input", {
      type: "radio", name: `${code.id} ${criterion.name}`, value, checked: value === chosen, autocomplete: "off",
    });
    input.setAttribute("aria-label", value === "" ? "not rated" : value);
    input.addEventListener("change", () => {
      state.scores[code.id] = { ...entry(code.id), [criterion.name]: value };
      keep();
    });
    return make("label", {}, input, make("span", { ariaHidden: "true" }, value === "" ? "\u2013" : value));
  });
  const legend = make("legend", { title: criterion.definition }, criterion.title);
  return make("fieldset", {}, legend, make("div", { className: "scale" }, ...choices));
}

function card(code) {
  const remark = make("input", { value: entry(code.id).remark ?? "", maxLength: 1000, autocomplete: "off" });
  remark.addEventListener("input", () => {
    state.scores[code.id] = { ...entry(code.id), remark: remark.value };
    keep();
  });
  const title = make("h3", {}, `Code ${code.letter}`);
  const text = make("pre", { tabIndex: 0 }, make("code", {}, code.code));
  const ratings = study.criteria.map((criterion) => scale(code, criterion));
  const asked = make("div", {}, ...ratings, make("label", { className: "remark" }, "Remark (optional)", remark));
  const section = make("section", { className: "card" }, title, text, asked);
  section.dataset.id = code.id;
  return section;
}

function show(number, focus) {
  shown = Math.min(Math.max(number, 0), study.items.length - 1);
  const item = study.items[shown];
  element("choice").selectedIndex = shown;
  element("previous").disabled = shown === 0;
  element("next").disabled = shown === study.items.length - 1;
  element("item").replaceChildren(
    make("h2", {}, `Item ${item.number}: the requirement`),
    make("p", { className: "requirement" }, item.requirement),
    ...item.codes.map(card),
  );
  showProgress();
  if (focus) {
    element("item").focus({ preventScroll: true });
    document.querySelector("nav").scrollIntoView();
  }
}

// A cell that a spreadsheet would take for a formula begins with an apostrophe.
function cell(value) {
  const text = String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
  const harmless = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}

function download() {
  const rater = state.rater.trim();
  if (!rater) {
    tell("Enter your name or number first: it tells your sheet from the others.");
    element("rater").focus();
    return;
  }
  const open = codes.filter((code) => !isRated(code.id)).length;
  tell(open ? `Downloaded. ${open} of ${codes.length} codes are not rated in full.` : "");
  const rows = codes.map((code) => ({ study: study.study, rater, id: code.id, ...entry(code.id) }));
  const lines = rows.map((row) => study.columns.map((column) => cell(row[column] ?? "")).join(","));
  const text = [study.columns.map(cell).join(","), ...lines].join("\r\n");
  const link = make("a", {
    href: URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" })),
    download: `ratings-${rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.csv`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

load();
element("rater").value = state.rater;
element("rater").addEventListener("input", () => {
  state.rater = element("rater").value;
  keep();
});
element("download").addEventListener("click", download);
element("clear").addEventListener("click", () => {
  if (!confirm("Delete everything that was entered here?")) return;
  state = { rater: "", scores: {} };
  element("rater").value = "";
  keep();
  show(0, false);
});
element("previous").addEventListener("click", () => show(shown - 1, true));
element("next").addEventListener("click", () => show(shown + 1, true));
element("choice").addEventListener("change", () => show(element("choice").selectedIndex, true));
element("choice").append(...study.items.map(() => make("option")));
element("definitions").append(
  ...study.criteria.flatMap((criterion) => [make("dt", {}, criterion.title), make("dd", {}, criterion.definition)]),
);
show(0, false);
