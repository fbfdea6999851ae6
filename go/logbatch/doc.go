// SPDX-License-Identifier: BSD-3-Clause

// Package logbatch reads, writes and checks the batches of log records that Zeek nodes push to loggers, in the format
// that Zeek calls "zeek-bin-serializer".
//
// A batch carries its own schema, the names and types of its fields, and a number of records that all follow it.
// Validate checks a batch without building anything and without allocating, for the moment before its bytes reach a
// Zeek process, whose own reader trusts the numbers in it.
package logbatch
