"""A client that asks all the time: requests over mutual TLS, one after the other, each on a connection of its own, as booting machines make
them. As a program it makes them; `Asker` runs it on a node and tells what became of them.

Prints one line a request: seconds since the epoch at its begin, seconds it took, "ok" or what went wrong.
"""

import http.client
import ssl
import sys
import time

INTERVAL = 0.02  # at most fifty a second, so that the client leaves the processor to what is measured
TIMEOUT = 3.0    # three tries of the kernel to connect


class Asker:
    """Asks until it is closed; use it as a context manager. `path` is answered with whatever status: an answer is an answer."""

    def __init__(self, node, address, credentials, path):
        self._process = node.start("asker", "/usr/bin/python3", __file__, address, credentials.ca, credentials.certificate, credentials.key, path)

    def requests(self, begin, end):
        """(begun, took, outcome) of the requests that began in a time."""
        found = []
        for line in self._process.log().splitlines():
            words = line.split(" ", 2)
            if len(words) == 3 and begin <= float(words[0]) < end:
                found.append((float(words[0]), float(words[1]), words[2]))
        return found

    def close(self):
        self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(address, context, path):
    connection = http.client.HTTPSConnection(address, 443, context=context, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
        return "ok"
    except OSError as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    except http.client.HTTPException as error:
        return type(error).__name__
    finally:
        connection.close()


def main():
    address, authority, certificate, key, path = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    while True:
        begun, wall = time.monotonic(), time.time()
        outcome = request(address, context, path)
        took = time.monotonic() - begun
        print(f"{wall:.6f} {took:.6f} {outcome}", flush=True)
        time.sleep(max(0.0, INTERVAL - took))


if __name__ == "__main__":
    main()
