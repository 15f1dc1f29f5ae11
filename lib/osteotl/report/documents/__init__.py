"""Texts that follow from a study: Methods and Results, checklists, model cards, tables, the page's closing parts."""

from osteotl.report.documents.back_matter import deviation, faults, glossary, limitations, not_estimable, provenance
from osteotl.report.documents.export import write_documents
from osteotl.report.documents.guidelines import checklists
from osteotl.report.documents.manuscript import methods, model_cards, statements_of

__all__ = [
    "checklists",
    "deviation",
    "faults",
    "glossary",
    "limitations",
    "methods",
    "model_cards",
    "not_estimable",
    "provenance",
    "statements_of",
    "write_documents",
]  # fmt: skip
