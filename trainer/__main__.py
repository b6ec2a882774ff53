"""`python -m trainer`: the stand-alone trainer, told by its environment what to do."""

if __name__ == "__main__":
    # Its worker process imports this module again and needs nothing of it.
    from trainer.process import main

    main()
