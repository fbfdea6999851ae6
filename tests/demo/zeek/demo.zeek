##! What every node of the demo's cluster runs. The program that started the
##! nodes reads what they print, lines that start with "demo".

# This selects the backend, and is all that a cluster needs.
@load policy/frameworks/cluster/backend/zeromq

# Free ports instead of 5555 and 5556. Mind that each of the broker's two sockets
# is reached by the nodes' socket of the other kind.
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = getenv("DEMO_XPUB_ENDPOINT");
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = getenv("DEMO_XSUB_ENDPOINT");
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = getenv("DEMO_XPUB_ENDPOINT");
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = getenv("DEMO_XSUB_ENDPOINT");

# On a busy machine, rather wait a little at the end than lose rows.
redef Cluster::Backend::ZeroMQ::linger_ms = 5000;

# Whole logs, in one piece, soon on disk.
redef Log::default_rotation_interval = 0sec;
redef Log::flush_interval = 100msec;

# Nodes end when they are told to, not when a capture does.
redef exit_only_after_terminate = T;

module Demo;

export {
	## How many questions the manager asks, each of all workers.
	const questions = 1000 &redef;

	## How many of them may be without answers at a time.
	const window = 20 &redef;

	## A node sees all others.
	global connected: event(node: string);

	## Workers are to read their captures.
	global start: event();

	## The manager asks for the digest of a text, a worker gives it.
	global question: event(n: count, text: string);
	global answer: event(node: string, n: count, digest: string);

	## A worker has read its capture.
	global capture_read: event(node: string);

	## A worker found a host in HTTP traffic. Proxies collect them for the cluster.
	global host_seen: event(host: string);

	## The manager asks a proxy how many hosts there are, the proxy tells it.
	global count_hosts: event();
	global hosts_counted: event(node: string, n: count);
}

function tell(what: string)
	{
	print fmt("demo %s", what);
	flush_all();
	}

function counter(name: string): count
	{
	local sum = 0.0;

	for ( _, m in Telemetry::collect_metrics("zeek", name) )
		sum += m$value;

	return double_to_count(sum);
	}

function tell_traffic()
	{
	tell(fmt("events %d %d", counter("cluster_zeromq_events_sent*"), counter("cluster_zeromq_events_received*")));
	}

# ---- Every node --------------------------------------------------------------

global peers: set[string];

function sees_all(): bool
	{
	return |peers| == |Cluster::nodes| - 1;
	}

event Cluster::node_up(name: string, id: string)
	{
	add peers[name];
	tell(fmt("up %s", name));

	if ( sees_all() )
		{
		if ( Cluster::local_node_type() == Cluster::MANAGER )
			event Demo::connected(Cluster::node);
		else
			Cluster::publish(Cluster::manager_topic, Demo::connected, Cluster::node);
		}
	}

event Cluster::node_down(name: string, id: string)
	{
	delete peers[name];
	tell(fmt("down %s", name));
	}

event zeek_done()
	{
	tell_traffic();
	}

# ---- Manager -----------------------------------------------------------------

@if ( Cluster::local_node_type() == Cluster::MANAGER )

global connected_nodes: set[string];
global started = F;
global asked = 0;
global asked_at: table[count] of time;
global missing_answers: table[count] of set[string];
global answers: table[string] of count &default=0;
global round_trips: vector of interval;
global captures_read: set[string];
global asked_proxies = F;

function workers(): set[string]
	{
	local result: set[string];

	for ( name, n in Cluster::nodes )
		if ( n$node_type == Cluster::WORKER )
			add result[name];

	return result;
	}

function ask()
	{
	++asked;
	asked_at[asked] = current_time();
	missing_answers[asked] = workers();
	Cluster::publish(Cluster::worker_topic, Demo::question, asked, fmt("question %d", asked));
	}

function by_length(a: interval, b: interval): int
	{
	return a < b ? -1 : ( a > b ? 1 : 0 );
	}

# Not before the workers have read everything: what they sent to the proxies
# arrives there before this does, since it all passes through the one broker.
function look_whether_finished()
	{
	if ( asked_proxies || |captures_read| < |workers()| || asked < questions || |missing_answers| > 0 )
		return;

	asked_proxies = T;
	sort(round_trips, by_length);
	tell(fmt("median %f", interval_to_double(round_trips[|round_trips| / 2])));
	Cluster::publish(Cluster::proxy_topic, Demo::count_hosts);
	}

event Demo::connected(node: string)
	{
	add connected_nodes[node];

	if ( started || |connected_nodes| < |Cluster::nodes| )
		return;

	started = T;
	tell("start");
	Cluster::publish(Cluster::worker_topic, Demo::start);

	while ( asked < window && asked < questions )
		ask();
	}

event Demo::answer(node: string, n: count, digest: string)
	{
	if ( n !in missing_answers || node !in missing_answers[n] || digest != md5_hash(fmt("question %d", n)) )
		{
		tell(fmt("wrong answer %d of %s", n, node));
		return;
		}

	round_trips += current_time() - asked_at[n];
	delete missing_answers[n][node];

	if ( ++answers[node] % 20 == 0 || answers[node] == questions )
		tell(fmt("answers %s %d", node, answers[node]));

	if ( |missing_answers[n]| > 0 )
		return;

	delete missing_answers[n];

	if ( asked < questions )
		ask();
	else
		look_whether_finished();
	}

event Demo::capture_read(node: string)
	{
	add captures_read[node];
	tell(fmt("capture %s", node));
	look_whether_finished();
	}

event Demo::hosts_counted(node: string, n: count)
	{
	tell(fmt("hosts %s %d", node, n));
	tell("finished");
	}

@endif

# ---- Worker ------------------------------------------------------------------

@if ( Cluster::local_node_type() == Cluster::WORKER )

@load ./ftp-data

global hosts: set[string];

event zeek_init()
	{
	suspend_processing();
	}

event Demo::start()
	{
	continue_processing();
	}

event Demo::question(n: count, text: string)
	{
	Cluster::publish(Cluster::manager_topic, Demo::answer, Cluster::node, n, md5_hash(text));
	}

event http_header(c: connection, is_orig: bool, original_name: string, name: string, value: string)
	{
	if ( name != "HOST" || value in hosts )
		return;

	add hosts[value];
	Cluster::publish_hrw(Cluster::proxy_pool, value, Demo::host_seen, value);
	}

event Pcap::file_done(path: string)
	{
	Cluster::publish(Cluster::manager_topic, Demo::capture_read, Cluster::node);
	}

@endif

# ---- Proxy -------------------------------------------------------------------

@if ( Cluster::local_node_type() == Cluster::PROXY )

global hosts: set[string];

event Demo::host_seen(host: string)
	{
	add hosts[host];
	}

event Demo::count_hosts()
	{
	Cluster::publish(Cluster::manager_topic, Demo::hosts_counted, Cluster::node, |hosts|);
	}

@endif
