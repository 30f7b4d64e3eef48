"""A shop whose 404 handler teaches the edge, as a newcomer would write it. Prints its port as soon as it listens."""

from flask import Flask
from werkzeug.serving import make_server

app = Flask(__name__)


@app.after_request
def name_the_answerer(response):
    response.headers["X-Answered-By"] = "backend"
    return response


@app.route("/checkout")
def checkout():
    return "Pay here\n"


@app.errorhandler(404)
@app.errorhandler(405)
def nothing_here(error):
    return "Nothing here\n", error.code, {"X-Edge-Resource": "false; ttl=20"}


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
