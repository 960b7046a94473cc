"""The lab: a fabric of network namespaces with real FRR and real agents, on one machine.

Used by `demo`, tests/integration and tests/e2e alike; standard library only. The pieces, lowest first:
  wait      polling with deadlines: the only way anything here waits
  netns     namespaces, links, taps
  process   a program in a node, its log, its readiness (sd_notify)
  node      a namespace with its own /etc/frr, /run/frr, /etc/nett, /run/nett, /var/lib/nett (see `enter`)
  frr       FRR's daemons in a node
  agent     nettd and nettsh in a node
  fabric    tor-a, tor-b, meta-1, meta-2 and the links between them
  server    a server behind both ToRs that is just a namespace with two NICs
  machine   a server behind both ToRs that is a QEMU machine with OVMF
  pki       certificates beside those that the builder makes: wrong ones, for tests
"""
