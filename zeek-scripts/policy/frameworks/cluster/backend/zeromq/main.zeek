##! Joins this process to the cluster and tells scripts which nodes come and go.

module Cluster::Backend::ZeroMQ;

@load ./options

# ---- Connecting --------------------------------------------------------------

function selected(): bool
	{
	return Cluster::backend == Cluster::CLUSTER_BACKEND_ZEROMQ;
	}

# zeekctl runs Zeek to check a configuration or to print a value, both without
# touching the network.
function only_checking(): bool
	{
	return getenv("ZEEKCTL_CHECK_CONFIG") != "" || getenv("ZEEKCTL_DISABLE_LISTEN") != "";
	}

function has_layout_entry(): bool
	{
	return Cluster::node in Cluster::nodes;
	}

# Finds the loggers in the layout. Early, so that scripts can still change the
# result before the connections are made.
event zeek_init() &priority=100
	{
	if ( ! selected() || ( has_layout_entry() && receives_logs(Cluster::nodes[Cluster::node]) ) )
		return;

	for ( name, n in Cluster::nodes )
		{
		local pull = receives_logs(n) ? log_endpoint(n) : "";

		if ( pull != "" )
			connect_log_endpoints += pull;
		}

	if ( |Cluster::nodes| > 1 && |connect_log_endpoints| == 0 )
		Reporter::error("No logger to send logs to: the cluster layout has none with a port, and Cluster::Backend::ZeroMQ::connect_log_endpoints is empty");
	}

event zeek_init() &priority=10
	{
	if ( ! selected() || only_checking() )
		return;

	# The texts of the two errors are also those of Zeek's own backend, for the
	# sake of tools that look for them. What went wrong was reported before.
	if ( run_proxy_thread && ! spawn_zmq_proxy_thread() )
		Reporter::fatal("Failed to spawn ZeroMQ proxy thread");

	if ( ! Cluster::init() )
		Reporter::fatal("Failed initialize ZeroMQ backend");
	}

# ---- Ending -------------------------------------------------------------------

# What has arrived by now can still be processed, and log batches written; once
# the logging framework has ended they could not.
event zeek_done() &priority=-100
	{
	if ( selected() && ! only_checking() )
		__drain();
	}

# ---- Nodes come --------------------------------------------------------------
#
# Two nodes A and B get to know each other in both directions at once. In the
# direction that ends with A raising node_up for B:
#
#   A subscribes to its node id's topic and, when it sees B subscribe to B's, says
#   ZeroMQ::hello to B. So B has two signs of A, in either order: the
#   subscription and the hello. Only with both it is certain that messages pass
#   both ways, and B sends Cluster::hello to A, on which the cluster framework
#   raises Cluster::node_up for B.

type Sign: enum { SIGN_SUBSCRIPTION, SIGN_HELLO };

function sign_expired(signs: table[string] of Sign, id: string): interval
	{
	# Up by a repeated greeting, see below.
	if ( Cluster::nodeid_to_node(id)$name != "" )
		return 0sec;

	if ( signs[id] == SIGN_HELLO )
		Reporter::warning(fmt("Node id '%s' said hello but has not subscribed, expired after %s", id, hello_expiration));
	else
		Reporter::warning(fmt("Node id '%s' has subscribed but did not say hello, expired after %s", id, hello_expiration));

	return 0sec;
	}

# The nodes of which we have one sign so far, by node id.
global signs_seen: table[string] of Sign &create_expire=hello_expiration &expire_func=sign_expired;

# Ids that a successor has made obsolete, until their node_down has been handled. The
# value is the successor's id if that is up already, otherwise empty.
global predecessors: table[string] of string;

function saw_sign(id: string, sign: Sign)
	{
	if ( id !in signs_seen )
		{
		signs_seen[id] = sign;
		return;
		}

	if ( signs_seen[id] == sign )
		return;

	delete signs_seen[id];
	Cluster::publish(Cluster::nodeid_topic(id), Cluster::hello, Cluster::node, Cluster::node_id());
	}

# The node id that a topic belongs to; empty if it is no node id's topic.
function id_from_topic(topic: string): string
	{
	local before = cat(nodeid_topic_prefix, ".");

	if ( ! starts_with(topic, before) )
		return "";

	# What follows the id is the final dot.
	return topic[|before| : |topic| - 1];
	}

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	local id = id_from_topic(topic);

	# A process outside the layout could never be answered, so it does not greet.
	if ( id == "" || id == Cluster::node_id() || ! has_layout_entry() )
		return;

	Cluster::publish(topic, Cluster::Backend::ZeroMQ::hello, Cluster::node, Cluster::node_id());
	saw_sign(id, SIGN_SUBSCRIPTION);
	}

event Cluster::Backend::ZeroMQ::hello(name: string, id: string)
	{
	if ( name in Cluster::nodes && Cluster::nodes[name]?$id )
		{
		local known_id = Cluster::nodes[name]$id;

		if ( known_id == id )
			{
			# It had lost us, as when the network was away, and we never noticed.
			# We still have both signs of it, and nothing else will tell it.
			Cluster::log(fmt("greeting node '%s' again (id: %s)", name, id));
			Cluster::publish(Cluster::nodeid_topic(id), Cluster::hello, Cluster::node, Cluster::node_id());
			return;
			}

		# It was started anew, and nobody told us that the old one has ended.
		Reporter::warning(fmt("node '%s' never said goodbye (old id: %s, new id: %s)", name, known_id, id));
		predecessors[known_id] = "";
		event Cluster::node_down(name, known_id);
		}

	saw_sign(id, SIGN_HELLO);
	}

# The new process's Cluster::hello may be in the queue before the old one's
# node_down. The cluster framework would call it a duplicate and never raise
# node_up, so it gets to see the two ids in the order that makes sense.
event Cluster::hello(name: string, id: string) &priority=20
	{
	if ( name !in Cluster::nodes )
		return;

	local n = Cluster::nodes[name];

	if ( n?$id && n$id != id && n$id in predecessors )
		{
		predecessors[n$id] = id;
		delete n$id;
		}
	}

event Cluster::node_down(name: string, id: string) &priority=20
	{
	if ( id in predecessors && predecessors[id] != "" )
		Cluster::nodes[name]$id = id;
	}

event Cluster::node_down(name: string, id: string) &priority=9
	{
	if ( id !in predecessors )
		return;

	if ( predecessors[id] != "" )
		Cluster::nodes[name]$id = predecessors[id];

	delete predecessors[id];
	}

# ---- Nodes go ----------------------------------------------------------------

event Cluster::Backend::ZeroMQ::unsubscription(topic: string)
	{
	local gone = id_from_topic(topic);

	if ( gone == "" || gone == Cluster::node_id() || ! has_layout_entry() )
		return;

	local node = Cluster::nodeid_to_node(gone);

	if ( node$name != "" )
		event Cluster::node_down(node$name, gone);
	else
		Reporter::warning(fmt("A node that never came up is gone: id '%s'", gone));
	}

# ---- Connections that cannot work --------------------------------------------

# From zmq.h: how a handshake can fail.
const handshake_failed_no_detail = 0x0800;
const handshake_failed_protocol = 0x2000;
const handshake_failed_auth = 0x4000;

function handshake_failure(number: count, value: count, address: string): string
	{
	return fmt("ZeroMQ: Handshake for socket %s failed: event=0x%x value=%d", address, number, value);
	}

# A peer that speaks another protocol or has other keys is a mistake in the
# configuration, which no retry mends. A handshake that fails without detail may
# be a connection lost at a bad moment.
event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	switch ( number )
		{
		case handshake_failed_no_detail:
			Reporter::warning(handshake_failure(number, value, address));
			break;
		case handshake_failed_protocol, handshake_failed_auth:
			Reporter::fatal(handshake_failure(number, value, address));
			break;
		}
	}
