"""The dream player: a dream or the real game, to watch or to drive, frame by frame."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets

from wmlib.agent import Agent
from wmlib.runtime.device import one_thread
from wmlib.runtime.fields import HIGHEST_TAU, LOWEST_TAU
from wmlib.widgets.access import LOOK
from wmlib.widgets.png import png
from wmlib.widgets.session import HIGHEST_HORIZON, Driver, Session, View, Where

_NAMES = {"game": "the game", "dream": "the dream"}
_SIGNS = {"left": "←", "up": "↑", "down": "↓", "right": "→"}


class _Screen(anywidget.AnyWidget):
    """What the browser draws. It asks for one step at a time, and for the next when that is drawn: a
    slow kernel never builds a queue, and a closed view asks for nothing."""

    _esm = Path(__file__).with_suffix(".js")
    _css = "\n".join(
        file.read_text(encoding="utf-8") for file in (LOOK, Path(__file__).with_suffix(".css"))
    )
    limit = traitlets.Int(30, help="frames a second at most").tag(sync=True)
    buttons = traitlets.List(help="of each key its name, its sign, what it does").tag(sync=True)
    numbers = traitlets.List(help="of each number of an action its name, least, most").tag(sync=True)
    parts = traitlets.List(help="what M foretells beside z: reward, end").tag(sync=True)


class DreamPlayer(ipywidgets.VBox):
    """Plays the dream, the game, or both under the same actions; the agent drives, or you do.

    Where the browser can't load the screen, plain buttons and a picture stand in its place.

    Args:
        where: "dream", "game" or "both". driver: "agent" or "you".
        seed: of the game (the car's track), and of the dream's chance. tau: the dream's temperature.
        horizon: frames after which an episode is cut; by default the task's own number.
    """

    def __init__(
        self,
        agent: Agent,
        where: Where = "dream",
        driver: Driver = "agent",
        seed: int = 1_500_000,
        horizon: int | None = None,
        tau: float = 1.0,
    ):
        # Whoever drives is not to wait for a batch that is filled up.
        self.session = Session(agent, where, driver, seed, horizon, tau, chunk=1)
        # Open in browsers, the newest last. A browser that crashes never says bye; some are enough.
        self.screens: deque[str] = deque(maxlen=16)
        task = agent.task
        buttons = [[key, _SIGNS[key], does] for key, does in task.keys.items()]
        numbers = [[name, least, most] for name, (least, most) in task.actions.items()]
        heads = {"reward": task.predicts_reward, "end": task.predicts_done}
        parts = [name for name, has in heads.items() if has]
        self.screen = _Screen(buttons=buttons, numbers=numbers, parts=parts)
        self.screen.on_msg(self.asked)
        self.plain = _PlainPlayer(self.session)
        super().__init__([self.screen, self.plain])

    def close(self) -> None:
        self.session.close()
        super().close()

    def asked(self, _, message: object, __) -> None:
        """A screen's wish: {"from": the screen's name, "ask": what, "content": what goes with it}.

        Errors are shown where one looks. What no screen of ours would say changes nothing.
        """
        screen = message.get("from") if isinstance(message, dict) else None
        if not isinstance(screen, str) or len(screen) > 100:
            return  # nobody to answer to
        try:
            with one_thread():
                self._answer(screen, message.get("ask"), message.get("content", {}))
        except BaseException as error:  # a callback's exception would end in a log that nobody reads
            if not isinstance(error, ValueError):
                self.session.close()  # the answer to half a step would pass for the next step's
            self.screen.send({"to": screen, "error": f"{type(error).__name__}: {error}"})
            if not isinstance(error, Exception):  # the kernel was interrupted
                raise

    def _answer(self, screen: str, ask: object, content: object) -> None:
        if not isinstance(content, dict):
            raise ValueError(f"{ask!r} comes with {content!r}, must be an object")
        if ask == "bye":
            self._leave(screen)
            return
        if ask == "hello":
            self.plain.layout.display = "none"
            if not self.screens:  # else: a second view of what the first one shows
                self.session.reset()
            if screen not in self.screens:
                self.screens.append(screen)
        elif ask == "step":
            keys = content.get("keys")
            if not isinstance(keys, list):
                raise ValueError(f"keys is {keys!r}, must be a list of those that are held")
            # Arrows that the game has no use for are pressed, too.
            self.session.step([key for key in self.session.agent.task.keys if key in keys])
        elif ask == "reset":
            self.session.reset()
        elif ask == "close eyes":
            self.session.close_eyes()
        elif ask == "change":
            self.session.change(**content)
        else:
            raise ValueError(f"{ask!r} is not something to ask")
        self._show(screen)

    def _leave(self, screen: str) -> None:
        """The last one lets the game's process go; the next screen starts it again."""
        if screen in self.screens:
            self.screens.remove(screen)
            if not self.screens:
                self.session.close()

    def _show(self, screen: str) -> None:
        view = self.session.view
        worlds = {
            name: {
                "name": _NAMES[name], "reward": glance.reward, "foreseen": glance.foreseen,
                "end": glance.end, "total": glance.total, "over": glance.over,
            }
            for name, glance in view.worlds.items()
        }  # fmt: skip
        content = {
            "to": screen, "t": view.t, "worlds": worlds, "over": view.over, "apart": view.apart,
            "parted": view.parted, "action": None if view.action is None else view.action.tolist(),
            "settings": self.session.settings,
        }  # fmt: skip
        opaque = np.full((64, 64, 1), 255, np.uint8)
        pictures = [np.concatenate([g.frame, opaque], 2).tobytes() for g in view.worlds.values()]
        self.screen.send(content, buffers=pictures)


class _PlainPlayer(ipywidgets.VBox):
    """The same with ipywidgets alone. Its Play button does not wait for us, but while we are busy
    ipywidgets keeps only its newest tick, so no queue builds up here either."""

    _SETTINGS = ("where", "driver", "tau", "horizon")

    def __init__(self, session: Session):
        self.session = session
        self.held = {
            key: ipywidgets.ToggleButton(description=_SIGNS[key], tooltip=does, layout={"width": "4em"})
            for key, does in session.agent.task.keys.items()
        }
        self.step = ipywidgets.Button(description="step", tooltip="one frame on")
        self.reset = ipywidgets.Button(description="reset", tooltip="begin anew")
        self.eyes = ipywidgets.Button(
            description="close eyes here", tooltip="the dream goes on from what the game shows now"
        )
        self.where = ipywidgets.Dropdown(
            options=["dream", "game", "both"], value=session.where, description="world"
        )
        self.driver = ipywidgets.Dropdown(
            options=["agent", "you"], value=session.driver, description="driver"
        )
        # Not a slider: a tau beyond its ends would be shown as one of them.
        self.tau = ipywidgets.BoundedFloatText(
            session.tau, min=LOWEST_TAU, max=HIGHEST_TAU, step=0.05, description="τ",
            tooltip="temperature",
        )  # fmt: skip
        self.horizon = ipywidgets.BoundedIntText(
            session.horizon, min=1, max=HIGHEST_HORIZON, description="frames", tooltip="at most"
        )
        self.ticks = ipywidgets.Play(min=0, max=10**6, interval=80, show_repeat=False)
        self.pictures = ipywidgets.HBox()
        self.caption = ipywidgets.Label()
        for button, act in ((self.step, self._step), (self.reset, session.reset)):
            button.on_click(lambda _, act=act: self._draw(act))
        self.eyes.on_click(lambda _: self._draw(session.close_eyes))
        self.ticks.observe(lambda change: change["new"] and self._draw(self._step), "value")
        for name in self._SETTINGS:
            getattr(self, name).observe(
                lambda change, name=name: self._change(name, change["new"]), "value"
            )
        rows = [
            [self.ticks, self.step, self.reset, self.eyes],
            [self.where, self.driver, self.tau, self.horizon],
            self.held.values(),
        ]
        super().__init__([*(ipywidgets.HBox(list(row)) for row in rows), self.pictures, self.caption])
        self._draw(lambda: session.view)

    def _step(self) -> View:
        return self.session.step([key for key, button in self.held.items() if button.value])

    def _change(self, name: str, value: str | float) -> None:
        if value != self.session.settings[name]:  # else it was us who set the control
            self._draw(lambda: self.session.change(**{name: value}))

    def _draw(self, act: Callable[[], View]) -> None:
        """Do something, and show what came of it, or what went wrong."""
        try:
            with one_thread():
                view = act()
        except Exception as error:
            self.caption.value = f"{type(error).__name__}: {error}"
            return
        finally:
            for name in self._SETTINGS:  # a notebook's cell may have changed the session
                getattr(self, name).value = self.session.settings[name]
        if len(self.pictures.children) != len(view.worlds):
            self.pictures.children = [ipywidgets.Image(format="png") for _ in view.worlds]
        said = [f"frame {view.t}"]
        for picture, (name, glance) in zip(self.pictures.children, view.worlds.items(), strict=True):
            picture.value = png(glance.frame)
            said.append(
                f"{_NAMES[name]}: {glance.total:.1f} points, reward foretold {glance.foreseen:.2f}, "
                f"probability of the end {glance.end:.2f}"
            )
        if view.parted is not None:
            said.append(f"parted at frame {view.parted}")
        self.caption.value = "; ".join([*said, *(["over"] if view.over else [])])
