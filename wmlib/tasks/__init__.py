"""The games that come with the package, a module for each: its name, its `TASK`.

A module that stands here is a task: nothing else has to be told of it. CONTRIBUTING.md says what it
holds.
"""
