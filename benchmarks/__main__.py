"""python -m benchmarks: see `benchmarks.table`. Nothing is imported at the top: the processes of games
and environments read this file too."""

if __name__ == "__main__":
    import sys

    from benchmarks.table import main
    from wmlib.runtime.streams import forgiving_streams

    with forgiving_streams():
        sys.exit(main())
