"""The `plumbline` command and the Python client of a Plumbline coordinator."""

from .async_client import AsyncPlumblineClient
from .client import PlumblineClient
from .experiment_file import ExperimentFile

__version__ = "0.1.0"
__all__ = ["AsyncPlumblineClient", "ExperimentFile", "PlumblineClient", "__version__"]
