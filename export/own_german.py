"""German sentences of our own: a task ends with its verb, and each frame wants the verb in its own form."""

import random

from export.own_phrases import Phrases
from export.own_sketches import pick
from export.own_wording import GERMAN_FRAMES, GERMAN_TORCH_FRAMES, in_some_case, joined, with_chatter

# infinitive: with "zu", third person at the end of a clause
VERBS = {
    "ablesen": ("abzulesen", "abliest"),
    "aufschreiben": ("aufzuschreiben", "aufschreibt"),
    "auseinanderhalten": ("auseinanderzuhalten", "auseinanderhält"),
    "beantworten": ("zu beantworten", "beantwortet"),
    "beibringen": ("beizubringen", "beibringt"),
    "berechnen": ("zu berechnen", "berechnet"),
    "beschreiben": ("zu beschreiben", "beschreibt"),
    "bestimmen": ("zu bestimmen", "bestimmt"),
    "einfärben": ("einzufärben", "einfärbt"),
    "einstufen": ("einzustufen", "einstuft"),
    "einteilen": ("einzuteilen", "einteilt"),
    "empfehlen": ("zu empfehlen", "empfiehlt"),
    "entrauschen": ("zu entrauschen", "entrauscht"),
    "erfinden": ("zu erfinden", "erfindet"),
    "erkennen": ("zu erkennen", "erkennt"),
    "erzeugen": ("zu erzeugen", "erzeugt"),
    "feststellen": ("festzustellen", "feststellt"),
    "finden": ("zu finden", "findet"),
    "generieren": ("zu generieren", "generiert"),
    "herausfiltern": ("herauszufiltern", "herausfiltert"),
    "herausziehen": ("herauszuziehen", "herauszieht"),
    "hochskalieren": ("hochzuskalieren", "hochskaliert"),
    "klassifizieren": ("zu klassifizieren", "klassifiziert"),
    "kürzen": ("zu kürzen", "kürzt"),
    "lernen": ("zu lernen", "lernt"),
    "lokalisieren": ("zu lokalisieren", "lokalisiert"),
    "markieren": ("zu markieren", "markiert"),
    "melden": ("zu melden", "meldet"),
    "prognostizieren": ("zu prognostizieren", "prognostiziert"),
    "prüfen": ("zu prüfen", "prüft"),
    "restaurieren": ("zu restaurieren", "restauriert"),
    "schärfen": ("zu schärfen", "schärft"),
    "schreiben": ("zu schreiben", "schreibt"),
    "schätzen": ("zu schätzen", "schätzt"),
    "segmentieren": ("zu segmentieren", "segmentiert"),
    "sortieren": ("zu sortieren", "sortiert"),
    "spielen": ("zu spielen", "spielt"),
    "transkribieren": ("zu transkribieren", "transkribiert"),
    "trennen": ("zu trennen", "trennt"),
    "umwandeln": ("umzuwandeln", "umwandelt"),
    "unterscheiden": ("zu unterscheiden", "unterscheidet"),
    "vorhersagen": ("vorherzusagen", "vorhersagt"),
    "vorschlagen": ("vorzuschlagen", "vorschlägt"),
    "zuordnen": ("zuzuordnen", "zuordnet"),
    "zusammenfassen": ("zusammenzufassen", "zusammenfasst"),
    "übersetzen": ("zu übersetzen", "übersetzt"),
}


def german_sentence(subjects: Phrases, others: Phrases, rng: random.Random) -> str:
    """Return a requirement in German, in one of five a short one, in a few with a second task."""
    draw = rng.random()
    if draw < 0.3:
        return in_some_case(pick(rng, *subjects.short).format(pick(rng, *subjects.nouns)), rng)
    frames = GERMAN_TORCH_FRAMES if draw > 0.94 else GERMAN_FRAMES
    forms = verb_forms(pick(rng, *subjects.tasks).format(pick(rng, *subjects.nouns)))
    if draw < 0.38:
        second = pick(rng, *others.tasks).format(pick(rng, *others.nouns))
        both = joined(forms[0], second, True, rng)
        return in_some_case(pick(rng, "Ich möchte {}", "Wir wollen {}", "{}").format(both), rng)
    text = pick(rng, *frames).format(*forms)
    if draw < 0.55:
        return with_chatter(text, True, rng)
    return in_some_case(text, rng)


def verb_forms(task: str) -> tuple[str, str, str]:
    """Return a task in the infinitive, with "zu", and in the third person."""
    rest, _, verb = task.rpartition(" ")
    with_zu, third = VERBS[verb]
    return task, f"{rest} {with_zu}", f"{rest} {third}"
