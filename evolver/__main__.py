"""`python -m evolver`: the runner process."""

if __name__ == "__main__":
    # Workers that are spawned import this module again and need nothing of it.
    from evolver.process import main

    main()
