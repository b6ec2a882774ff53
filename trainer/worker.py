"""`python -m trainer.worker`: this machine trains for evolvers elsewhere, as it is told to."""

if __name__ == "__main__":
    # Each of its worker processes imports this module again and needs nothing of it.
    try:
        from trainer.worker_process import main
    except ImportError as error:
        raise SystemExit(
            f"trainer: a worker needs the extra dicebox[cluster]: {error.name} is not installed"
        ) from error

    main()
