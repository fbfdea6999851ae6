// SPDX-License-Identifier: BSD-3-Clause

// Package event reads, writes and checks the event payloads that Zeek nodes exchange over a cluster backend.
//
// Zeek knows two event formats, and both carry the same tree of values:
//
//   - "broker-bin-v1": binary, what Zeek sends by default;
//   - "broker-json-v1": JSON, lossy in two places (time stamps have milliseconds, reals six decimals).
//
// Validate checks a payload without building anything and without allocating. It is meant for the moment before
// bytes from the network reach a Zeek process, whose own decoder trusts the shape of what it is given.
//
// Nothing in a payload says which script type a value had. A record, a vector, a pattern, a function and a
// composite table key all travel as a list; record fields carry no names and enum values no numbers. The generic
// tree keeps what is on the wire, and a Go struct adds the schema where one is wanted.
package event
