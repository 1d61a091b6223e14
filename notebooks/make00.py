"""python make00.py OUT [solutions]  - writes the unexecuted notebook 00."""

import sys
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

MINUTES = sys.argv[3] if len(sys.argv) > 3 else "@@MINUTES@@"
SOL = "solutions" in sys.argv
cells = []
md = lambda t: cells.append(new_markdown_cell(t.strip("\n")))
code = lambda t: cells.append(new_code_cell(t.strip("\n")))

md(
    """
# 00 · Start here: a car that dreams
"""
    + ("**Solutions.** The same notebook, with the exercises at its end solved.\n" if SOL else "")
    + """
*In five minutes you watch a small agent drive a race car, see it dream of driving, and know the three parts that it is made of.*

```
   the game ──frame──▶ V ──z──▶ C ──action──▶ the game
                          │     ▲
                          └─▶ M ┘ h
   you are here: all of it, seen from above
```

| | |
|---|---|
| **You will be able to** | say what V, M and C do, and what passes between them; tell a dream from the game; read a score with its interval |
| **You need** | Python, and the idea of a function with adjustable numbers in it. No machine learning yet |
| **It reads** | the shipped agent in `data/reference/carracing` (or your own run, if `WMLIB_RUN_DIR` names one) |
| **It writes** | nothing |
| **It takes** | """
    + MINUTES
    + """ |
"""
)
code("""
import json

import numpy as np
import torch

from wmlib import figures
from wmlib.checks import check_action, check_compression, check_interval
from wmlib.envs.frames import to_frame
from wmlib.envs.games import make_game
from wmlib.lesson import begin

lesson = begin()
STEPS = min(lesson.config.evaluate.horizon, 600)  # frames that we watch
TRACK = 1_500_000  # the seed that lays out the road
""")
md("""
## 1 · The game, and how hard it is

The game is [CarRacing](https://gymnasium.farama.org/environments/box2d/car_racing/). You look down on a car on a winding road.
At each **frame** (one picture) the player gives an **action**: steering from -1 to 1, gas from 0 to 1, brake from 0 to 1.

The road is cut into some 300 tiles. All tiles together are worth 1000 points, and each frame costs 0.1. A full lap without a miss
ends at about 900. One game from its start to its end is an **episode**: 1000 frames at most.

What would you try first? Perhaps: do anything, and see. Let us press the pedals at random.
""")
code("""
def press_at_random(seed, steps):
    game, rng = make_game("carracing"), np.random.default_rng(0)
    picture, _ = game.reset(seed=seed)
    frames, rewards = [to_frame(picture, "carracing")], []
    for _ in range(steps):
        picture, reward, over, _, _ = game.step(rng.uniform([-1, 0, 0], 1))
        frames.append(to_frame(picture, "carracing"))
        rewards.append(reward)
        if over:
            break
    return np.array(frames), np.array(rewards)


random_frames, random_rewards = press_at_random(TRACK, STEPS)
print(f"{random_rewards.sum():.0f} points in {len(random_rewards)} frames")
""")
code("""
times = [0, 20, 40, 60, 80, 99]
figures.film_strip({"random": random_frames}, times, "Random pedals: the car hardly leaves its place")
""")
md("""
**What you should see.** The picture first zooms in, as it does in every game, and then hardly changes. The pedals cancel each other.
The score is below 50: the few tiles under the car, minus 0.1 for each frame.

So chance won't do. The agent has to *look*, and to know what its actions lead to. That takes three parts.
""")
code("""
assert random_frames.shape[1:] == (64, 64, 3)  # what the agent gets of each picture
assert random_rewards.sum() < 100
""")
md("""
## 2 · V sees: a picture becomes 32 numbers

A frame has 64 × 64 pixels of three colours: 12,288 numbers. Most of them say "grass". **V**, for *vision*, squeezes a frame into
32 numbers, called **z**. It has learned to do so by trying to paint the frame again from z alone.

Below, `encode` squeezes and `decode` paints. (`mu` is V's best guess of z. Notebook 02 tells what `logvar` is for.)
""")
code("""
from wmlib.vae import to_frames, to_images

agent = lesson.agent()
frame = random_frames[-1]
with torch.inference_mode():
    mu, logvar = agent.vae.encode(to_images(torch.from_numpy(frame[None])))  # (1, 32)
    painted = to_frames(agent.vae.decode(mu))[0].numpy()
figures.through_v(frame, mu[0].numpy(), painted)
""")
md("""
**What you should see.** On the right, the road where it was, a little soft at its edges. In the middle, a few bars that are far from
zero: those carry the picture. The rest is near zero, because V pays for each number that it uses, and leaves out what isn't worth its
price.
""")
code("""
error = np.square((frame.astype(float) - painted) / 255).sum()
print(f"squared error of this frame, all pixels together: {error:.1f}")
assert mu.shape == (1, 32)
assert not lesson.shipped or error < 60
""")
md("""
## 3 · C acts: 867 numbers drive the car

**C**, the *controller*, is as simple as can be. It takes the 32 numbers of z, and 256 numbers called **h** that you meet in a moment.
It multiplies each by a weight and adds them up, once for steering, once for gas and once for the brake:

$$a = W\\,[z, h] + b$$

Then each sum is pressed into its range. That is all: $(32 + 256) \\times 3$ weights in $W$ and 3 constants in $b$ make 867 numbers.
""")
code("""
from wmlib.controller import to_action

W, b = agent.params[:-3].view(288, 3), agent.params[-3:]
z, h = mu[0], torch.zeros(256)
action = to_action(torch.cat([z, h]) @ W + b, agent.task)
print("steering {:+.2f}, gas {:.2f}, brake {:.2f}".format(*action))
assert W.numel() + b.numel() == 867
assert torch.allclose(action, agent.controller.act(agent.params[None], torch.cat([z, h])[None, None])[0, 0])
""")
md("""
Now let it drive. `RealWorld` is the real game with V and M in front of it. `watch` lets the agent play and hands us each moment:
the frame, the action, and the points that it earned.
""")
code("""
from wmlib.showing import watch
from wmlib.worlds import DreamWorld, RealWorld

with RealWorld(agent.vae, agent.mdnrnn, lanes=1, workers=1, horizon=STEPS) as world:
    drive = list(watch(agent, world, TRACK, STEPS))
frames, rewards = np.array([m.frame for m in drive]), np.array([m.reward for m in drive])
actions = np.array([m.action for m in drive])
print(f"{rewards.sum():.0f} points in {len(drive)} frames")
""")
code("""
figures.reward_lines({"the agent": rewards, "random pedals": random_rewards}, "Points on the same track")
""")
md("""
**What you should see.** A line that climbs, tile by tile, while the random one sinks slowly. Where the agent's line is flat, it is
off the road or slow; a steep part is a clean stretch.

Look at the drive itself. Press ▶, or drag the slider.
""")
code("""
from wmlib.widgets.film import Film

captions = [f"frame {t}: steer {a[0]:+.2f}, gas {a[1]:.2f}, brake {a[2]:.2f}" for t, a in enumerate(actions)]
Film(frames, captions)
""")
code("""
shown = np.linspace(0, len(frames) - 1, 6).astype(int).tolist()
figures.film_strip({"the game": frames}, shown, "The same drive as a strip of pictures")
""")
code("""
assert (np.abs(actions[:, 0]) <= 1).all() and (actions[:, 1:] >= 0).all() and (actions[:, 1:] <= 1).all()
assert not lesson.shipped or rewards.sum() > random_rewards.sum()
""")
md("""
## 4 · M remembers, and foresees

One picture doesn't say how fast the car goes. **M**, for *memory*, does: it reads z and the action at every frame and keeps what
matters in its memory, **h**. That is the h that C sees.

M has learned by guessing. From its memory it foretells the next z, the points, and whether the game ends. So it can do something
odd: take its own guess for what it sees next, and guess again. With its eyes closed, it goes on. That is the **dream**.

Let us close its eyes in the middle of the drive. We give M the real frames up to a moment, then only the *actions* that were taken.
""")
code("""
@torch.inference_mode()
def close_eyes(at, steps):
    z, _ = agent.vae.encode(to_images(torch.from_numpy(frames[: at + 1])))
    a = torch.from_numpy(actions)
    _, memory = agent.mdnrnn(z[None, :at], a[None, :at])  # with open eyes
    z, dreamt = z[None, at : at + 1], []
    for t in range(at, at + steps):  # with closed eyes
        dreamt.append(to_frames(agent.vae.decode(z[0]))[0].numpy())
        guess, memory = agent.mdnrnn(z, a[None, t : t + 1], memory)
        z = (guess.logpi.exp() * guess.mu).sum(-1)  # the mean of M's guess
    return np.array(dreamt)


at = len(frames) // 2
dreamt = close_eyes(at, 40)
rows = {"the game": frames[at : at + 40], "eyes closed": dreamt}
figures.film_strip(rows, [0, 8, 16, 24, 32, 39], f"M goes on alone from frame {at}, told only the actions")
""")
md("""
**What you should see.** For the first frames both rows agree. Then M's road drifts away from the real one: nobody told M what comes
after the next bend, so it makes one up. That is not a fault. A dream has to be *like* the game, not *the same* game.
""")
code("""
first = np.square((frames[at].astype(float) - dreamt[0]) / 255).sum()
last = np.square((frames[at + 39].astype(float) - dreamt[39]) / 255).sum()
print(f"squared error when the eyes close: {first:.0f}; 39 frames later: {last:.0f}")
assert dreamt.shape == (40, 64, 64, 3)
assert not lesson.shipped or first < 60
""")
md("""
## 5 · The dream is a world

If M foretells z and the points, then a dream can be *played*, like the game: C gives an action, M answers with the next z and the
points. C cannot tell the difference. And a dream is cheap: no physics, no drawing. So C can practise in its sleep.

`DreamWorld` is used just like `RealWorld`. Here is the same agent in a dream of its own.
""")
code("""
dream_world = DreamWorld(agent.mdnrnn, agent.starts, lanes=1, horizon=STEPS, painter=agent.vae)
dream = list(watch(agent, dream_world, TRACK, STEPS))
dream_frames = np.array([m.frame for m in dream])
dream_rewards = np.array([m.reward for m in dream])
shown = np.linspace(0, min(len(frames), len(dream_frames)) - 1, 6).astype(int).tolist()
figures.film_strip({"the game": frames, "the dream": dream_frames}, shown, "The same agent, awake and asleep")
""")
code("""
both = {"the game pays": rewards, "the dream promises": dream_rewards}
figures.reward_lines(both, "Points, paid and promised")
""")
md("""
**What you should see.** In the lower row, a road that never was, with bends that M invented. The two lines differ. What a dream
promises and what the game pays are two things, and the gap between them is a theme of this course: an agent that practises too long
in its sleep learns to please the dream.

Here is the dream as a film.
""")
code("""
promised = np.cumsum(dream_rewards)
Film(dream_frames, [f"frame {t}: {p:.0f} points promised so far" for t, p in enumerate(promised)])
""")
code("""
assert dream_frames.shape[1:] == (64, 64, 3)
assert np.isfinite(dream_rewards).all()
""")
md("""
## 6 · Is the number true?

You have seen one game. One game is an anecdote: another track, another score. So the agent was scored on 100 tracks that it had never
met and that nobody used to choose it. The command that gives these numbers again:

```sh
python -m wmlib evaluate --task carracing --world real --episodes 100
```
""")
code("""
score = json.loads((lesson.folder / "score.json").read_text())
returns = np.array(score["returns"])
print(f"mean {score['mean']:.0f}, sd {score['sd']:.0f}, n = {score['n']}")
print(f"95 % interval of the mean: {score['ci95'][0]:.0f} to {score['ci95'][1]:.0f}")
print(f"worst game {returns.min():.0f}, best game {returns.max():.0f}")
figures.score_histogram(returns, score["ci95"], "The shipped agent" if lesson.shipped else "Your agent")
""")
md("""
**What you should see.** Most games pile up on the right, near a full lap. A few lie far to the left: an early spin, a missed bend.
The **95 % interval** says how well the mean is known from so many games. For comparison, the paper reports 906 ± 21 over 100 games,
after a training some thousand times as long.
""")
code("""
assert score["n"] == len(returns) and score["ci95"][0] <= score["mean"] <= score["ci95"][1]
assert not lesson.shipped or score["ci95"][0] > 800
""")
md(
    """
## 7 · What you are going to build

Everything you have just seen, from nothing, on your own machine. First the game and its recordings; then V, M and C, one at a time;
then the dream, and what it teaches and what it doesn't. Each notebook shows its part's real code, lets you touch it, and tests it.
The table of notebooks is in the [README](../README.md#notebooks).

## Exercises

Fill in your answer in place of `None` or `raise NotImplementedError`, and run the cell. A checker tells you at once.

**Exercise 1** (easy, 1 minute). How many numbers of a frame share one number of z?
""".replace("../README.md", "../../README.md" if SOL else "../README.md")
)
code(
    "ratio = 64 * 64 * 3 / 32\ncheck_compression(ratio)"
    if SOL
    else "ratio = None\ncheck_compression(ratio)"
)
md("""
**Exercise 2** (medium, 5 minutes). Write `to_action` yourself, with numpy. From three sums, make steering in [-1, 1], gas in [0, 1] and
brake in [0, 1]: steering is tanh; gas is tanh, shifted and halved; the brake is tanh with all that is below 0 cut off.
*Hint:* `np.tanh` and `max`. Then think: why is the brake not shifted like the gas?
""")
code(
    """
def my_action(raw):
    steer, gas, brake = np.tanh(raw)
    # Shifted, a brake that C says nothing about (0) would be half on.
    return np.array([steer, (gas + 1) / 2, max(brake, 0.0)])


check_action(my_action)
"""
    if SOL
    else """
def my_action(raw):
    raise NotImplementedError


check_action(my_action)
"""
)
md("""
**Exercise 3** (medium, 10 minutes). Write a function that takes a list of returns and gives the 95 % interval of their mean.
*Hint:* 1.96 times the standard deviation, divided by the square root of n. Or draw the returns again and again, with repetition, and
look at where the means fall.
""")
code(
    """
def my_interval(returns):
    half = 1.96 * np.std(returns, ddof=1) / np.sqrt(len(returns))
    return np.mean(returns) - half, np.mean(returns) + half


check_interval(my_interval)
"""
    if SOL
    else """
def my_interval(returns):
    raise NotImplementedError


check_interval(my_interval)
"""
)
md(
    """
## Summary

- **V** squeezes a frame into z, 32 numbers. **M** remembers in h, 256 numbers, and foresees. **C** turns both into an action.
- Fed with its own guesses, M dreams. A dream can be played like the game.
- A score is a mean over many games, with its spread and its interval. One game says little.

**New words**: frame, action, episode, return (the points of an episode), z, h, V, M, C, dream, 95 % interval. All are in the
[glossary](../README.md#glossary).

**Paper, its code, ours.** The paper trains its car's C in the real game only; ours first practises in the dream. The paper's C took 1800
generations on 64 cores; ours fits in two hours on two. V, M and C have the paper's shapes and sizes; our M also foretells points and
the end, so that its dream can be played.

**Read more**: D. Ha and J. Schmidhuber, [*Recurrent World Models Facilitate Policy Evolution*](https://arxiv.org/abs/1809.01999), 2018, and
their [interactive article](https://worldmodels.github.io).
""".replace("../README.md", "../../README.md" if SOL else "../README.md")
)

nb = new_notebook(
    cells=cells,
    metadata={
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
)
for i, c in enumerate(nb.cells):
    c["id"] = f"cell-{i:02d}"
nbformat.write(nb, sys.argv[1])
