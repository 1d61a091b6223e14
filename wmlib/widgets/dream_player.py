"""The dream player: a dream or the real game, to watch or to drive, frame by frame."""

from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets

from wmlib.agent import Agent
from wmlib.playing import Driver, Session, View, Where
from wmlib.widgets.png import png

_NAMES = {"game": "the game", "dream": "the dream"}


class _Screen(anywidget.AnyWidget):
    """What the browser draws. It asks for one step at a time, and for the next when that is drawn: a
    slow kernel never builds a queue, and a closed view asks for nothing."""

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    limit = traitlets.Int(30, help="frames a second at most").tag(sync=True)


class DreamPlayer(ipywidgets.VBox):
    """Plays the dream, the game, or both under the same actions; the agent drives, or you do.

    Where the browser can't load the screen, plain buttons and a picture stand in its place.

    Args:
        where: "dream", "game" or "both". driver: "agent" or "you".
        seed: of the track, and of the dream's chance. tau: the dream's temperature.
        horizon: frames after which an episode is cut.
    """

    def __init__(
        self,
        agent: Agent,
        where: Where = "dream",
        driver: Driver = "agent",
        seed: int = 1_500_000,
        horizon: int = 1000,
        tau: float = 1.0,
    ):
        self.session = Session(agent, where, driver, seed, horizon, tau)
        self.screens = 0  # open in browsers
        self.screen = _Screen()
        self.screen.on_msg(self._asked)
        self.plain = _PlainPlayer(self.session)
        super().__init__([self.screen, self.plain])

    def close(self) -> None:
        self.session.close()
        super().close()

    def _asked(self, _, message: dict, __) -> None:
        """A screen's wish: a name, perhaps with what goes with it. Errors are shown where one looks."""
        try:
            self._answer(message["from"], message["ask"], message.get("content", {}))
        except Exception as error:  # a callback's exception would end in a log that nobody reads
            self.screen.send({"to": message.get("from"), "error": f"{type(error).__name__}: {error}"})

    def _answer(self, screen: str, ask: str, content: dict) -> None:
        if ask == "bye":
            self.screens -= 1
            if self.screens <= 0:  # the game's process is let go; the next screen starts it again
                self.session.close()
            return
        if ask == "hello":
            self.screens += 1
            self.plain.layout.display = "none"
            self.session.reset()
        elif ask == "step":
            self.session.step(content["keys"])
        elif ask == "reset":
            self.session.reset()
        elif ask == "close eyes":
            self.session.close_eyes()
        elif ask == "change":
            self.session.change(**content)
        else:
            raise ValueError(f"{ask!r} is not something to ask")
        self._show(screen)

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

    def __init__(self, session: Session):
        self.session = session
        self.held = {
            key: ipywidgets.ToggleButton(description=sign, tooltip=name, layout={"width": "4em"})
            for key, sign, name in (
                ("left", "←", "steer left"), ("up", "↑", "gas"),
                ("down", "↓", "brake"), ("right", "→", "steer right"),
            )
        }  # fmt: skip
        self.step = ipywidgets.Button(description="step", tooltip="one frame on")
        self.reset = ipywidgets.Button(description="reset", tooltip="begin anew")
        self.where = ipywidgets.Dropdown(options=["dream", "game", "both"], value=session.where)
        self.driver = ipywidgets.Dropdown(options=["agent", "you"], value=session.driver)
        self.ticks = ipywidgets.Play(min=0, max=10**6, interval=80, show_repeat=False)
        self.pictures = ipywidgets.HBox()
        self.caption = ipywidgets.Label()
        self.step.on_click(lambda _: self._step())
        self.reset.on_click(lambda _: self._draw(session.reset()))
        self.ticks.observe(lambda change: change["new"] and self._step(), "value")
        for name in ("where", "driver"):
            getattr(self, name).observe(
                lambda change, name=name: self._draw(session.change(**{name: change["new"]})), "value"
            )
        controls = ipywidgets.HBox([self.ticks, self.step, self.reset, self.where, self.driver])
        keys = ipywidgets.HBox(list(self.held.values()))
        super().__init__([controls, keys, self.pictures, self.caption])
        self._draw(session.view)

    def _step(self) -> None:
        self._draw(self.session.step([key for key, button in self.held.items() if button.value]))

    def _draw(self, view: View) -> None:
        if len(self.pictures.children) != len(view.worlds):
            self.pictures.children = [ipywidgets.Image(format="png") for _ in view.worlds]
        for picture, (name, glance) in zip(self.pictures.children, view.worlds.items(), strict=True):
            picture.value = png(glance.frame)
            picture.alt = f"{_NAMES[name]}, frame {view.t}"
        points = [f"{_NAMES[name]}: {glance.total:.1f} points" for name, glance in view.worlds.items()]
        self.caption.value = "; ".join([f"frame {view.t}", *points, *(["over"] if view.over else [])])
