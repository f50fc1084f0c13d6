"""comity: organisations build machine-learning models together without handing their data over.

Importing this package is silent and light: it loads no engine, opens no file and starts no thread.
The parts are imported by name, for example ``from comity.validate import LocalValidator``.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
