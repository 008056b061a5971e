"""``python -m dc2lib.labels audit FOLDER``: which rule do the labels of a data set follow?"""

import sys

from dc2lib.audit.report import main

if __name__ == "__main__":
    sys.exit(main())
