##! Options, events and topic names of the ZeroMQ cluster backend.
##!
##! Three kinds of connections make up a cluster:
##!
##! * Events pass through one central broker, a process that binds an XPUB and
##!   an XSUB socket and forwards between them. By default the manager runs it.
##! * Every node, the manager included, connects an XSUB and an XPUB socket of
##!   its own to the broker. What a node publishes reaches every node that has
##!   subscribed to a prefix of the topic, but never the publisher itself.
##! * Logs do not pass through the broker. Every logger binds a PULL socket, every
##!   other node connects a PUSH socket to all loggers and deals its batches out
##!   among them.
##!
##! Loading this file alone selects the backend and declares everything below
##! without opening a connection, which suits a process that only runs the
##! broker. The package as a whole also joins the cluster.
##!
##! A process reads the options once, when it connects. Changing them later has
##! no effect.

module Cluster::Backend::ZeroMQ;

@load base/misc/version
@load base/utils/addrs

export {
	## What happens to a message that meets a high-water mark.
	type OverloadPolicy: enum {
		## It is dropped and counted.
		OVERLOAD_DROP,
		## It waits for room, for
		## :zeek:see:`Cluster::Backend::ZeroMQ::overload_block_limit` at most, and is
		## dropped and counted then. The next ones are dropped without waiting
		## until half of the queue is free again.
		OVERLOAD_BLOCK,
		## It is kept on disk and sent once there is room, in order. Log batches
		## only.
		OVERLOAD_SPILL,
	};

	# ---- Endpoints -----------------------------------------------------------

	## Where this node's XPUB socket connects to: the broker's XSUB, see
	## :zeek:see:`Cluster::Backend::ZeroMQ::listen_xsub_endpoint`. Published
	## events leave through it.
	##
	## As with its sibling below, the name says which *local* socket connects.
	##
	## Type: a ZeroMQ endpoint such as ``tcp://192.0.2.1:5556`` or ``ipc:///path``.
	const connect_xpub_endpoint: string = "tcp://127.0.0.1:5556" &redef;

	## Where this node's XSUB socket connects to: the broker's XPUB, see
	## :zeek:see:`Cluster::Backend::ZeroMQ::listen_xpub_endpoint`. Events of other
	## nodes arrive through it.
	const connect_xsub_endpoint: string = "tcp://127.0.0.1:5555" &redef;

	## The loggers that this node's PUSH socket connects to, one endpoint each.
	## Batches of log records are dealt out among them in turn.
	##
	## Nodes that do not write logs themselves append the loggers of
	## :zeek:see:`Cluster::nodes` before they connect. Without a layout, for
	## example with loggers that are not Zeek, list the endpoints here.
	const connect_log_endpoints: vector of string = vector() &redef;

	## Address that the broker's XPUB socket binds to, for the nodes' XSUB
	## sockets. Only used by the process that runs the broker.
	const listen_xpub_endpoint: string = "tcp://127.0.0.1:5555" &redef;

	## Address that the broker's XSUB socket binds to, for the nodes' XPUB
	## sockets. Only used by the process that runs the broker.
	const listen_xsub_endpoint: string = "tcp://127.0.0.1:5556" &redef;

	## Address that the PULL socket for logs binds to. The empty string means
	## that this node does not receive logs.
	##
	## Loggers, and a manager that acts as one, take it from their entry in
	## :zeek:see:`Cluster::nodes` if that has a port.
	const listen_log_endpoint: string = "" &redef;

	## Whether the sockets may use IPv6 (``ZMQ_IPV6``). Needed as soon as one
	## endpoint has an IPv6 address, or to listen on both families at once.
	##
	## Off by default; on by default before Zeek 8.1, as it was there.
	const ipv6: bool = Version::number < 80100 &redef;

	# ---- Broker --------------------------------------------------------------

	## Whether this process runs the central broker. The manager does by default;
	## set it to ``F`` there and to ``T`` elsewhere to move the broker.
	const run_proxy_thread: bool = F &redef;

	## Number of I/O threads of the broker's ZeroMQ context, at least 1. Each is
	## good for roughly a gigabyte of traffic per second.
	const proxy_io_threads: count = 2 &redef;

	## Whether the broker's XPUB holds a message back (``T``) or discards it
	## silently (``F``) when a node has stopped reading and its queue is full
	## (``ZMQ_XPUB_NODROP``). When held back, publishers feel it and count drops.
	const listen_xpub_nodrop: bool = T &redef;

	# ---- Events --------------------------------------------------------------

	## Whether a full XPUB queue is reported (``T``) or messages vanish without a
	## trace (``F``) (``ZMQ_XPUB_NODROP``). With ``F`` the metric
	## ``zeek_cluster_zeromq_xpub_drops_total`` stays at zero whatever happens.
	const connect_xpub_nodrop: bool = T &redef;

	## High-water mark of the XPUB socket, in events. Events published when that
	## many wait to be sent are dropped and counted in
	## ``zeek_cluster_zeromq_xpub_drops_total``. 0 means no limit but memory.
	const xpub_sndhwm: int = 1000 &redef;

	## Size in bytes of the kernel's send buffer for the XPUB socket; -1 leaves it
	## to the kernel.
	const xpub_sndbuf: int = -1 &redef;

	## High-water mark of the XSUB socket, in events. When that many wait to be
	## received, the broker has to keep further ones. 0 means no limit but memory.
	const xsub_rcvhwm: int = 1000 &redef;

	## Size in bytes of the kernel's receive buffer for the XSUB socket; -1 leaves
	## it to the kernel.
	const xsub_rcvbuf: int = -1 &redef;

	## How many received events may wait for Zeek's main loop. Further ones are
	## dropped and counted in ``zeek_cluster_zeromq_onloop_drops_total``. Logs,
	## subscriptions and unsubscriptions always pass. 0 means no limit but memory,
	## and a node flooded with events may then neglect its packets.
	const onloop_queue_hwm: count = 10000 &redef;

	## How many messages are taken from one socket before the next gets its turn;
	## 0 means until the socket is empty. Small values share the engine's time
	## more evenly, large ones cost less of it.
	const poll_max_messages: count = 100 &redef;

	# ---- Logs ----------------------------------------------------------------

	## Whether log batches are only given to loggers with an established
	## connection (``ZMQ_IMMEDIATE``). With ``F`` a share of them is queued for
	## loggers that are not there (yet).
	const log_immediate: bool = F &redef;

	## High-water mark of the PUSH socket, in batches per logger. Batches written
	## when the queues to all loggers are full are lost, with an error. 0 means no
	## limit but memory.
	const log_sndhwm: int = 1000 &redef;

	## High-water mark of the PULL socket, in batches per sending node. When that
	## many wait to be received, the senders have to keep further ones. 0 means no
	## limit but memory.
	const log_rcvhwm: int = 1000 &redef;

	## Size in bytes of the kernel's send buffer for the PUSH socket; -1 leaves it
	## to the kernel.
	const log_sndbuf: int = -1 &redef;

	## Size in bytes of the kernel's receive buffer for the PULL socket; -1 leaves
	## it to the kernel.
	const log_rcvbuf: int = -1 &redef;

	# ---- Overload ------------------------------------------------------------
	#
	# What the operator wants to give up when more is sent than can be received:
	# events or logs, packets (the main loop waits), or disk space.

	## At :zeek:see:`Cluster::Backend::ZeroMQ::xpub_sndhwm`: with OVERLOAD_BLOCK,
	## :zeek:see:`Cluster::publish` waits, and the packets with it.
	const xpub_overload: OverloadPolicy = OVERLOAD_DROP &redef;

	## At :zeek:see:`Cluster::Backend::ZeroMQ::onloop_queue_hwm`: with
	## OVERLOAD_BLOCK, events are left with the broker, which then holds up those of
	## all other nodes too.
	const onloop_overload: OverloadPolicy = OVERLOAD_DROP &redef;

	## At :zeek:see:`Cluster::Backend::ZeroMQ::log_sndhwm`: with OVERLOAD_BLOCK, log
	## writes wait, and the packets with them; with OVERLOAD_SPILL, batches are
	## kept in :zeek:see:`Cluster::Backend::ZeroMQ::log_spill_dir`, also beyond the
	## end of the process.
	const log_overload: OverloadPolicy = OVERLOAD_DROP &redef;

	## How long OVERLOAD_BLOCK waits at most. For events, keep it shorter than
	## :zeek:see:`Cluster::Backend::ZeroMQ::heartbeat_timeout`: who waits for longer
	## is taken for dead.
	const overload_block_limit: interval = 1sec &redef;

	## Folder for log batches with OVERLOAD_SPILL; it is made if need be. The files
	## in it begin with the node's name, and only one process may have that name.
	const log_spill_dir: string = "." &redef;

	## How many bytes of log batches are kept there at most. What comes beyond is
	## dropped and counted.
	const log_spill_max_bytes: count = 1073741824 &redef;

	# ---- Peers that vanish ---------------------------------------------------

	## How often a peer is asked for a sign of life (``ZMQ_HEARTBEAT_IVL``), to
	## notice that its host or the network is gone. 0 means never. A peer that does
	## not read, however alive, gives none: so loggers do not ask, nor do senders of
	## logs unless :zeek:see:`Cluster::Backend::ZeroMQ::log_overload` is OVERLOAD_DROP.
	const heartbeat_interval: interval = 2sec &redef;

	## After how long without one the connection is given up, by both ends
	## (``ZMQ_HEARTBEAT_TIMEOUT``, ``ZMQ_HEARTBEAT_TTL``).
	const heartbeat_timeout: interval = 6sec &redef;

	## Whether the kernel looks for dead connections as well (``ZMQ_TCP_KEEPALIVE``):
	## it finds those to peers that answer no heartbeats, while nothing is under way
	## to them. For what is, TCP's own time-outs apply, which take minutes.
	const tcp_keepalive: bool = T &redef;

	## After how much silence it begins to, in whole seconds. It gives up after
	## twice that time (``ZMQ_TCP_KEEPALIVE_IDLE``).
	const tcp_keepalive_idle: interval = 15sec &redef;

	## How long until a lost connection is tried again. Doubled with each try up to
	## the option below (``ZMQ_RECONNECT_IVL``).
	const reconnect_interval: interval = 100msec &redef;

	## The longest time between two tries (``ZMQ_RECONNECT_IVL_MAX``).
	const reconnect_interval_max: interval = 1sec &redef;

	# ---- All sockets ---------------------------------------------------------

	## For how many milliseconds a terminating process tries to send what is still
	## queued (``ZMQ_LINGER``). 0 discards it at once, -1 waits for ever.
	const linger_ms: int = 500 &redef;

	## Messages longer than this many bytes are refused by the broker and the
	## loggers, and their sender disconnected (``ZMQ_MAXMSGSIZE``). 0 means no limit.
	const max_message_size: count = 134217728 &redef;

	# ---- Encryption ----------------------------------------------------------
	#
	# CURVE is on where keys are set. The broker and the loggers are servers and
	# hold the server's pair, all nodes are clients and share one client's pair; a
	# client with another public key is turned away. Keys are Z85 text of 40
	# characters, see generate_keypair().
	#
	# Instead of these options one may set the environment variables
	# ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_{SERVER,CLIENT}_{PUBLIC,SECRET}KEY. Using
	# both ways at once is a fatal error.

	## Public key of the broker and the loggers. Every node needs it.
	const curve_server_publickey: string = "" &redef;

	## Secret key of the broker and the loggers. Only these need it.
	const curve_server_secretkey: string = "" &redef;

	## Public key that all nodes show. The broker and the loggers admit no other.
	const curve_client_publickey: string = "" &redef;

	## Secret key that goes with
	## :zeek:see:`Cluster::Backend::ZeroMQ::curve_client_publickey`.
	const curve_client_secretkey: string = "" &redef;

	# ---- Membership ----------------------------------------------------------

	## How long half of a handshake is remembered: a node subscribed but never
	## said hello, or the other way round. Afterwards a warning is given.
	const hello_expiration: interval = 10sec &redef;

	## Prefix of the topics that a node subscribes to for a moment in order to
	## learn that its subscriptions and publications have a way through the
	## broker. Nothing is ever published under it.
	const internal_topic_prefix: string = "zeek.zeromq.internal." &redef;

	## Start of the topics that reach one node by its name in the layout.
	global node_topic_prefix: string = "zeek.cluster.node" &redef;

	## Start of the topics that reach one process by its node id.
	global nodeid_topic_prefix: string = "zeek.cluster.nodeid" &redef;

	# ---- The engine ----------------------------------------------------------

	## What the engine tells on stderr about itself, a sum of: 1 - every wake-up
	## and what it was for; 2 - start and end of threads and sockets. Not for
	## production.
	const debug_flags: count = 0 &redef;

	## Leaves the cluster to the ZeroMQ backend that Zeek brings along, with all
	## options above. Setting ``ZEEKZMQ_DISABLE=1`` in the environment does the
	## same.
	##
	## Without effect where Zeek was built without one.
	const use_builtin_backend: bool = F &redef;

	## How many threads of the engine may run Go code at once (``GOMAXPROCS``), at
	## least 1. The first node or broker of a process decides.
	const engine_threads: count = 3 &redef;

	## How many percent the engine's heap may grow before garbage is collected
	## (``GOGC``). A negative value turns collection off.
	const engine_gc_percent: int = 100 &redef;

	## Bytes of memory that the engine tries to stay below by collecting more
	## often (``GOMEMLIMIT``); a soft limit. 0 means none.
	const engine_memory_limit: count = 0 &redef;

	# ---- What scripts may see ------------------------------------------------

	## Some node has subscribed: raised when a topic appears on this node's XPUB
	## socket that was not there before. A node's own subscriptions come back to
	## it as well.
	##
	## topic: The prefix subscribed to.
	global subscription: event(topic: string);

	## The last node that had subscribed to a topic has withdrawn its
	## subscription, or is gone.
	##
	## topic: The prefix no longer subscribed to.
	global unsubscription: event(topic: string);

	## Sent to a node by every other node that sees it subscribe.
	##
	## name: The greeting node's name in :zeek:see:`Cluster::nodes`.
	##
	## id: The greeting node's id, its :zeek:see:`Cluster::node_id`.
	global hello: event(name: string, id: string);

	## Something happened to a connection of the XPUB, XSUB or PUSH socket.
	##
	## number: What happened, one of the ``ZMQ_EVENT_*`` constants of
	##         ``zmq_socket_monitor(3)``.
	##
	## value: A descriptor, error number, interval or code, depending on *number*.
	##
	## address: The endpoint concerned.
	global monitoring_event: event(number: count, value: count, address: string);
}

# A Zeek with a ZeroMQ backend of its own has these two as built-in functions, and
# the plugin sees to it that they lead to our engine. Elsewhere they are ours.
@ifndef ( spawn_zmq_proxy_thread )
export {
	## Starts the central broker in this process, on
	## :zeek:see:`Cluster::Backend::ZeroMQ::listen_xpub_endpoint` and
	## :zeek:see:`Cluster::Backend::ZeroMQ::listen_xsub_endpoint`. Scripts call it
	## where :zeek:see:`Cluster::Backend::ZeroMQ::run_proxy_thread` does not fit.
	##
	## Returns: T on success, F after an error was reported.
	global spawn_zmq_proxy_thread: function(): bool;
}

function spawn_zmq_proxy_thread(): bool
	{
	return __spawn_broker();
	}
@endif

@ifndef ( generate_keypair )
export {
	## Makes a new pair of CURVE keys.
	##
	## Returns: A table with the Z85 texts ``public`` and ``secret``.
	global generate_keypair: function(): table_string_of_string;
}

function generate_keypair(): table_string_of_string
	{
	return __generate_keypair();
	}
@endif

redef Cluster::backend = Cluster::CLUSTER_BACKEND_ZEROMQ;

redef run_proxy_thread = Cluster::local_node_type() == Cluster::MANAGER;

# ---- Names and topics --------------------------------------------------------
#
# Parts of a topic are joined by dots. The final dot of the node topics keeps
# worker-1 from receiving what is meant for worker-10, as a subscription matches
# every topic that starts with it.

# Fixed for the life of the process. Other nodes only rely on its being unique; the
# parts are for the reader of a log.
const local_id = fmt("zeromq_%s_%s_%d_%s", Cluster::node, gethostname(), getpid(), unique_id("N"));

function id_of_this_node(): string
	{
	return local_id;
	}

function topic_by_name(name: string): string
	{
	return cat(node_topic_prefix, ".", name, ".");
	}

function topic_by_id(id: string): string
	{
	return cat(nodeid_topic_prefix, ".", id, ".");
	}

redef Cluster::node_id = id_of_this_node;
redef Cluster::node_topic = topic_by_name;
redef Cluster::nodeid_topic = topic_by_id;

redef Cluster::manager_topic = "zeek.cluster.manager";
redef Cluster::logger_topic = "zeek.cluster.logger";
redef Cluster::proxy_topic = "zeek.cluster.proxy";
redef Cluster::worker_topic = "zeek.cluster.worker";

redef Cluster::logger_pool_spec = Cluster::PoolSpec($topic="zeek.cluster.pool.logger", $node_type=Cluster::LOGGER);
redef Cluster::proxy_pool_spec = Cluster::PoolSpec($topic="zeek.cluster.pool.proxy", $node_type=Cluster::PROXY);
redef Cluster::worker_pool_spec = Cluster::PoolSpec($topic="zeek.cluster.pool.worker", $node_type=Cluster::WORKER);

# Node ids differ with every start of a process. Telemetry counts their topics as
# one, or its label values would pile up.
@ifdef ( Cluster::Telemetry::topic_normalizations )
redef Cluster::Telemetry::topic_normalizations += {
	[/^zeek\.cluster\.nodeid\..*/] = "zeek.cluster.nodeid.__normalized__",
};
@endif

# ---- Where logs go -----------------------------------------------------------

# Whether a node of the layout writes the cluster's logs.
function receives_logs(n: Cluster::Node): bool &is_used
	{
	if ( n$node_type == Cluster::MANAGER )
		return Cluster::manager_is_logger;

	return n$node_type == Cluster::LOGGER;
	}

# The endpoint of such a node's PULL socket, or the empty string if the layout
# gives no port. Brackets around IPv6 addresses are addr_to_uri()'s doing.
function log_endpoint(n: Cluster::Node): string &is_used
	{
	if ( n$p == 0/unknown )
		return "";

	return fmt("tcp://%s:%d", addr_to_uri(n$ip), port_to_count(n$p));
	}

@if ( Cluster::node in Cluster::nodes && receives_logs(Cluster::nodes[Cluster::node]) && Cluster::nodes[Cluster::node]$p != 0/unknown )
redef listen_log_endpoint = log_endpoint(Cluster::nodes[Cluster::node]);
@endif
