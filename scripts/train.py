"""python scripts/train.py -m model.width=1,2,5,50,200"""

from dlexp.cli.train import main

if __name__ == "__main__":
    main()
