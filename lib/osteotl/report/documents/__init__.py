"""Texts that follow from a study: Methods and Results, checklists, model cards, tables, the page's closing parts."""

from osteotl.report.documents.closing import deviation, faults, glossary, limitations, not_estimable, provenance
from osteotl.report.documents.export import write_documents
from osteotl.report.documents.guidelines import checklists
from osteotl.report.documents.manuscript import facts_of, methods, model_cards

__all__ = [
    "checklists", "deviation", "facts_of", "faults", "glossary", "limitations", "methods", "model_cards",
    "not_estimable", "provenance", "write_documents",
]  # fmt: skip
