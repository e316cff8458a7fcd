#PYTHON

# Downloads an installer, checks that it is the one that is meant, and runs it, once for each user.
#
#   MSI_URL     where the installer is
#   MSI_HASH    its SHA-1, in hexadecimal
#   MSI_OPT     options for msiexec; /qn, which asks nothing, if there are none
#
# For connect, as the user or as administrator. Written for Python 2 and runs as it stands.

import os
import shutil
import subprocess
import sys
import tempfile
import urllib

from scripthelper import *

wanted = os.environ["MSI_HASH"].strip().lower()
options = os.environ.get("MSI_OPT", "/qn").split()

# Named after the hash: another installer is installed again.
markers = os.path.join(os.path.expanduser("~"), ".installed-by-vpn")
marker = os.path.join(markers, wanted)
if os.path.exists(marker):
    sys.exit(0)

directory = tempfile.mkdtemp()
try:
    installer = os.path.join(directory, "installer.msi")
    urllib.urlretrieve(os.environ["MSI_URL"], installer)
    found = digest_file(installer, "sha1")
    if found != wanted:
        sys.exit("not installed: the SHA-1 of %s is %s, not %s" % (os.environ["MSI_URL"], found, wanted))

    status = subprocess.call(["msiexec", "/i", installer] + options)
    # 3010: installed, and the machine wants to be started again.
    if status not in (0, 3010):
        sys.exit("msiexec failed with status %d" % status)

    if not os.path.isdir(markers):
        os.makedirs(markers)
    f = file(marker, "w")
    f.write(os.environ["MSI_URL"] + "\n")
    f.close()
finally:
    shutil.rmtree(directory)
