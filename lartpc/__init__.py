"""Differentiable simulation and calibration of liquid-argon time projection chambers.

The names below are what programs may rely on. Each is loaded when it is first asked for, so that `import lartpc` costs
next to nothing; where a name lives may change.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lartpc.data.hits import Hits
    from lartpc.data.segments import Segments
    from lartpc.detector.detector import Detector
    from lartpc.detector.wires import WireDetector
    from lartpc.exceptions import InputError
    from lartpc.fit.calibrate import calibrate, calibrate_runs
    from lartpc.fit.compare import compare
    from lartpc.fit.forecast import forecast
    from lartpc.fit.runs import Run
    from lartpc.fit.scan import scan
    from lartpc.fit.target import Target
    from lartpc.fit.waveformcheck import gradcheck_waveforms
    from lartpc.fit.waveforms import calibrate_waveforms, compare_waveforms, forecast_waveforms
    from lartpc.formats.edepsim import read_segments, write_segments
    from lartpc.formats.eventfile import EventFile
    from lartpc.formats.hitfile import read_hits, write_hits
    from lartpc.formats.packetfile import read_packets
    from lartpc.generator.generate import generate
    from lartpc.gradients.gradcheck import gradcheck
    from lartpc.gradients.trace import Trace
    from lartpc.gradients.waveforms import WireTrace
    from lartpc.parameters import Parameters
    from lartpc.pixels.response import Response
    from lartpc.reconstruction.calibrate import calibrate_hits, calibrate_hits_of_runs
    from lartpc.reconstruction.reconstruct import reconstruct
    from lartpc.settings import Settings
    from lartpc.simulation.simulation import Simulation
    from lartpc.simulation.wires import WireSimulation
    from lartpc.wires.fieldresponse import FieldResponse

__version__ = "0.1.0"
__all__ = [
    "Detector",
    "EventFile",
    "FieldResponse",
    "Hits",
    "InputError",
    "Parameters",
    "Response",
    "Run",
    "Segments",
    "Settings",
    "Simulation",
    "Target",
    "Trace",
    "WireDetector",
    "WireSimulation",
    "WireTrace",
    "__version__",
    "calibrate",
    "calibrate_hits",
    "calibrate_hits_of_runs",
    "calibrate_runs",
    "calibrate_waveforms",
    "compare",
    "compare_waveforms",
    "forecast",
    "forecast_waveforms",
    "generate",
    "gradcheck",
    "gradcheck_waveforms",
    "read_hits",
    "read_packets",
    "read_segments",
    "reconstruct",
    "scan",
    "write_hits",
    "write_segments",
]
_HOMES = {
    "Detector": "detector.detector",
    "EventFile": "formats.eventfile",
    "FieldResponse": "wires.fieldresponse",
    "Hits": "data.hits",
    "InputError": "exceptions",
    "Parameters": "parameters",
    "Response": "pixels.response",
    "Run": "fit.runs",
    "Segments": "data.segments",
    "Settings": "settings",
    "Simulation": "simulation.simulation",
    "Target": "fit.target",
    "Trace": "gradients.trace",
    "WireDetector": "detector.wires",
    "WireSimulation": "simulation.wires",
    "WireTrace": "gradients.waveforms",
    "calibrate": "fit.calibrate",
    "calibrate_hits": "reconstruction.calibrate",
    "calibrate_hits_of_runs": "reconstruction.calibrate",
    "calibrate_runs": "fit.calibrate",
    "calibrate_waveforms": "fit.waveforms",
    "compare": "fit.compare",
    "compare_waveforms": "fit.waveforms",
    "forecast": "fit.forecast",
    "forecast_waveforms": "fit.waveforms",
    "generate": "generator.generate",
    "gradcheck": "gradients.gradcheck",
    "gradcheck_waveforms": "fit.waveformcheck",
    "read_hits": "formats.hitfile",
    "read_packets": "formats.packetfile",
    "read_segments": "formats.edepsim",
    "reconstruct": "reconstruction.reconstruct",
    "scan": "fit.scan",
    "write_hits": "formats.hitfile",
    "write_segments": "formats.edepsim",
}


def __getattr__(name: str) -> Any:
    """A public name, from where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lartpc' has no attribute {name!r}")
    return getattr(_import_module(f"lartpc.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
