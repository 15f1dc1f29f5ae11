"""What is written beside the page."""

from osteotl.cohorts.trace import trace

from osteotl.files import write_text


def write(step):
    """Methods, cards and a checklist."""
    trace(step)
    write_text(step.write("documents/methods.md"), "words\n")
    for arm in step.study.arms or ["a"]:
        write_text(step.write(f"documents/model_cards/{arm}.md"), f"card of {arm}\n")
    write_text(step.write("documents/checklists/claim.csv"), "item,answer\n")
