"""Pictures of a MuJoCo state without a screen, by EGL or OSMesa; without shadows and reflections, which cost most."""

import atexit
import os
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.budget.errors import ConfigError
from perdure.curriculum.import_path import show_error
from perdure.curriculum.messages import did_you_mean, shorten

BACKENDS = {"egl": "EGL", "osmesa": "OSMesa"}
"""The names of `MUJOCO_GL`, and the libraries that they need."""


@cache
def backend() -> str:
    """The library that draws here: as `MUJOCO_GL` says, else the first that is there."""
    return backend_among(os.environ.get("MUJOCO_GL", ""), find_library)


def backend_among(wanted: str, find: Callable[[str], Any]) -> str:
    """The wanted library, else the first one that `find` finds.

    Raises:
        ConfigError: it finds none.
    """
    if (name := wanted.lower().strip()) in BACKENDS:
        return name
    for name, library in BACKENDS.items():
        if find(library):
            return name
    raise ConfigError("nothing here can draw a picture without a screen: install libegl1 or libosmesa6")


class Camera:
    """A fixed camera of a model.

    Raises:
        ConfigError: nothing here can draw, or the model has no such camera.
    """

    def __init__(self, model: Any, name: str, width: int, height: int) -> None:
        mujoco = import_module("mujoco")
        names = [model.camera(index).name for index in range(model.ncam)]
        if name not in names:
            raise ConfigError(f"there is no camera {shorten(name)!r}{did_you_mean(name, names)}; {', '.join(names)}")
        self._mujoco, self._model, self._size = mujoco, model, (height, width)
        self._context = _context(width, height)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        self._context.make_current()
        self._drawing = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._drawing)
        self._scene = mujoco.MjvScene(model, 1000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(name).id

    def picture(self, data: Any) -> NDArray[np.uint8]:
        """A picture of a state, shape (H, W, 3); a camera that hangs upside down is turned."""
        mujoco, (height, width) = self._mujoco, self._size
        self._context.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, mujoco.MjvOption(), None, self._view, everything, self._scene)
        frame = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(frame, self._scene, self._drawing)
        pixels = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(pixels, None, frame, self._drawing)
        up_z = data.cam_xmat[self._view.fixedcamid][7]
        return np.ascontiguousarray(pixels[:, ::-1] if up_z < 0 else pixels[::-1])


def _context(width: int, height: int) -> Any:
    name = backend()
    try:
        made = import_module(f"mujoco.{name}").GLContext(width, height)
    except Exception as error:
        other = next(one for one in BACKENDS if one != name)
        raise ConfigError(f"{name} cannot draw here ({show_error(error)}); try MUJOCO_GL={other}") from error
    atexit.register(made.free)
    return made
