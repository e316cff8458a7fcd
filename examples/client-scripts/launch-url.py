#PYTHON

# Opens a page in the browser when the user connects, and leaves it alone when the tunnel is lost and comes back.
#
#   LAUNCH_URL    the page
#
# For connect, as the user. Written for Python 2 and runs as it stands.

import os
import webbrowser

if os.environ.has_key("LAUNCH_URL") and int(os.environ.get("N_RECONNECTS", "0")) == 0:
    webbrowser.open_new(os.environ["LAUNCH_URL"])
