"""`python -m load_generator`: the command without the rest of Dicebox."""

from load_generator.command import main

if __name__ == "__main__":
    main()
