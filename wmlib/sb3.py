"""Stable-Baselines3 takes a thousand dreams at once: its own vector API, over Gymnasium's.

    from stable_baselines3 import PPO

    dreams = gymnasium.make_vec("wmlib/Dream-v0", 64, agent=folder, autoreset_mode="SameStep")
    PPO("MlpPolicy", SB3VecEnv(dreams)).learn(100_000)

The package itself does not need it: pip install stable-baselines3 -c constraints.txt
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from wmlib.runtime.fields import ConfigError


class SB3VecEnv(VecEnv):
    """A vector environment of Gymnasium's, ours or another, as Stable-Baselines3 wants it.

    Raises:
        ConfigError: its lanes don't begin anew in the step in which they end.
    """

    def __init__(self, envs: VectorEnv):
        if envs.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ConfigError('Stable-Baselines3 wants same-step resets: autoreset_mode="SameStep"')
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> np.ndarray:
        seen, _ = self.envs.reset(seed=list(self._seeds))
        self._reset_seeds()
        self._reset_options()
        return seen

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        seen, rewards, terminated, truncated, infos = self.envs.step(self.actions)
        over = terminated | truncated
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(over):
            told[lane]["terminal_observation"] = infos["final_obs"][lane]
            told[lane]["TimeLimit.truncated"] = bool(truncated[lane] and not terminated[lane])
        return seen, rewards.astype(np.float32), over, told

    def get_images(self) -> Sequence[np.ndarray]:
        return list(self.envs.render() or ())

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The lanes have it in common."""
        return [getattr(self.envs, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        raise NotImplementedError("the lanes of a vector environment have no attributes of their own")

    def env_method(
        self, method_name: str, *method_args, indices: VecEnvIndices = None, **method_kwargs
    ) -> list[Any]:
        raise NotImplementedError("the lanes of a vector environment have no methods of their own")

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))
