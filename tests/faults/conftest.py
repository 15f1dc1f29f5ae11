"""An undisturbed run of the small study, to which every disturbed one is compared."""

from small_study.finished import finished, fresh, undisturbed

__all__ = ["finished", "fresh", "undisturbed"]
