"""Reference values (oracles) and the functions that must reproduce them.

`registry` holds the decorator, the comparison and the written list of informational quantities; every other module of
this folder maps quantities of one family. Importing the package imports them all.
"""

import importlib
import pkgutil

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")
