# SPDX-License-Identifier: BSD-3-Clause
#
##! What the nodes of all measures have in common. The program that starts them
##! (../driver) reads the lines that start with "bench", and lets a node go on by
##! making a file in its folder: it reads clocks between the two.

@load base/frameworks/cluster
@load policy/frameworks/cluster/backend/zeromq

# Mind that each of the broker's two sockets is reached by the nodes' socket of
# the other kind.
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = getenv("BENCH_XPUB");
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = getenv("BENCH_XSUB");
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = getenv("BENCH_XPUB");
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = getenv("BENCH_XSUB");

# What is lost is not measured: no high-water marks, so that all of it arrives.
redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::xsub_rcvhwm = 0;
redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;
redef Cluster::Backend::ZeroMQ::log_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::log_rcvhwm = 0;

redef Log::default_rotation_interval = 0sec;
redef exit_only_after_terminate = T;

module Bench;

export {
	## Prints a line for the program.
	global tell: function(what: string);

	## Raised on a node when the program wants its nth step, from 1.
	global go: event(step: count);

	## A number from the environment.
	global number: function(name: string): count;

	## A text of so many bytes.
	global text: function(n: count): string;

	## What is sent.
	global blob: event(payload: string);

	## Internal.
	global look: event(step: count);
}

function tell(what: string)
	{
	print fmt("bench %s", what);
	flush_all();
	}

function number(name: string): count
	{
	local v = getenv(name);
	return v == "" ? 0 : to_count(v);
	}

function text(n: count): string
	{
	local s = "x";

	while ( |s| < n )
		s += s;

	return s[0:n];
	}

event Bench::look(step: count)
	{
	if ( zeek_is_terminating() )
		return;

	if ( file_size(fmt("go-%d", step)) >= 0.0 )
		event Bench::go(step);
	else
		schedule 10msecs { Bench::look(step) };
	}

global up: set[string];

event Cluster::node_up(name: string, id: string) &priority=-5
	{
	add up[name];

	if ( |up| == |Cluster::nodes| - 1 )
		{
		tell("up");
		event Bench::look(1);
		}
	}

event zeek_init() &priority=-20
	{
	# The nodes of a cluster that never comes up should not stay.
	Cluster::subscribe(fmt("bench.node.%s.", Cluster::node));

	if ( |Cluster::nodes| == 1 )
		{
		tell("up");
		event Bench::look(1);
		}
	}
