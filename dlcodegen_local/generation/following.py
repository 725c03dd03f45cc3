"""Which of the retrieved samples can follow a plan: each is brought to it without a model and compared.

Guarantees that samples which do not keep the section contract are left in their place: whether they can
follow is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dlcodegen_local.generation.adapting import PLANNED, adapt
from dlcodegen_local.generation.drafting import header_for
from dlcodegen_local.generation.plan_values import differs_in_loss, differs_in_size, mismatches
from dlcodegen_local.generation.results import Floor, ReferenceSample
from dlcodegen_local.generation.segments import cut_source, is_sound_script, reconcile
from dlcodegen_local.plan.schema import Plan
from dlcodegen_local.sections import Sections

# What it costs a sample, in distance to the plan, that its own model cannot hold the plan's layers, and that
# it keeps another loss.
_FOREIGN_MODEL = 0.3
_OTHER_LOSS = 0.2


@dataclass(frozen=True)
class Follower:
    """Hold a sample brought to a plan. `faults` are those it still has, the worst kind first."""

    source: str
    provenance: dict[str, str]
    bases: dict[str, str]
    faults: tuple[bool, bool, float]

    @property
    def is_able(self) -> bool:
        """Tell whether its labels are of the plan's kind, and its names agree."""
        return not self.faults[0] and not self.faults[1]


def follow(sample: ReferenceSample, requirement: str, plan: Plan, floor: Floor) -> Follower | None:
    """Bring one sample to a plan; None where it does not keep the section contract."""
    sections = cut_source(sample.source)
    if sections is None or not is_sound_script(sample.source):
        return None
    adapted = adapt(sections, sample.plan, plan, floor)
    origin = f"sample:{sample.id}"
    sources = {origin: adapted.sections, Floor.id: Sections.parse((adapted.floor or floor).source)}
    chosen = dict.fromkeys(adapted.sections.bodies, origin)
    joined = reconcile(chosen, sources, header_for(requirement, sections.header))
    provenance = {}
    for name, by in joined.provenance.items():
        made_of = adapted.origins.get(name, "") if by == origin else by
        provenance[name] = f"{origin}{PLANNED}" if made_of == PLANNED else made_of.replace("*", origin) or by
    bodies = joined.sections.bodies
    context = "\n\n\n".join(bodies.get(name, "") for name in ("imports", "config"))
    far = mismatches("model", bodies.get("model", ""), plan, {}, context)
    far += _FOREIGN_MODEL * provenance.get("model", "").startswith(Floor.id)
    far += _OTHER_LOSS * differs_in_loss(bodies.get("config", ""), plan)
    faults = (not adapted.fits or differs_in_size(sample.plan, plan), bool(joined.missing), round(far, 1))
    bases = {name: Floor.id if by == Floor.id else origin for name, by in provenance.items()}
    return Follower(joined.sections.to_source(), provenance, bases, faults)


def by_ability(followers: Sequence[Follower | None]) -> list[int]:
    """Return the places of samples, those that can follow the plan first; equal ones stay in their order.

    Where the first is one of which it is not known, nothing changes.
    """
    places = list(range(len(followers)))
    if not followers or followers[0] is None:
        return places
    unknown = (True, True, 1.0)
    return sorted(places, key=lambda i: (follower.faults if (follower := followers[i]) else unknown, i))
