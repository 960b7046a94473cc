"""A BMC that is not one: a Redfish service for the lab's machines and for tests of plugin redfish.

  service   the HTTP(S) server: sessions, faults, the request log, the control endpoint
  redfish   the resources: ServiceRoot, SessionService, Systems, Managers, VirtualMedia, tasks
  personalities  what families of BMCs do their own way
  faults    what the service does wrong when it is told to
  drivers   what power and virtual media do: nothing (NullDriver), or start and kill a program such as QEMU (CommandDriver)
  client    the control endpoint, for tests

Run from the source tree: /usr/bin/python3 -m tests.lab.bmc --listen '[::1]:8443' --system node-1 …
Standard library only; openssl(1) makes the certificate when none is given.
"""
