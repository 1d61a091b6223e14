"""The questions that the results page answers, each by a script that anyone can run again."""
