# @TEST-DOC: Thousands of damaged events and log batches do not harm the node that they are sent to: it goes on answering, has counted them, and told of them once.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: MANAGER_LOG_PORT
#
# @TEST-EXEC: sed '/^global say/,$d' $FILES/../../vectors/vectors.zeek >types.zeek
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for grep -q "pong before" worker-1/out
# @TEST-EXEC: send-mutants $FILES/../../vectors 3000 $XSUB_PORT $MANAGER_LOG_PORT >sent
# @TEST-EXEC: touch sent-all
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff sent
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: btest-diff manager/out
#
# Once, however many they are, and once with their number. What only makes no
# sense to a Zeek that can decode it, Zeek tells of itself.
# @TEST-EXEC: grep -c "ZeroMQ: ignored a message that is not valid" manager/.stderr >told
# @TEST-EXEC: grep -c "ZeroMQ: ignored a message with the wrong number of parts" manager/.stderr >>told
# @TEST-EXEC: grep -c "ZeroMQ: [0-9]* messages that were not valid were ignored" manager/.stderr >>told
# @TEST-EXEC: grep -c "ZeroMQ: [0-9]* messages with the wrong number of parts were ignored" manager/.stderr >>told
# @TEST-EXEC: btest-diff told

# @TEST-START-FILE common.zeek
@load cluster-test

global ping: event(stage: string);
global pong: event(stage: string);
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

# With the types of what is damaged, so that Zeek decodes what gets through.
@load ./types

redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

module GLOBAL;

event zeek_init()
	{
	Log::create_stream(Vector::LOG, Log::Stream($columns=Vector::Info, $path="vector"));
	}

event ping(stage: string)
	{
	Cluster::publish(Cluster::worker_topic, pong, stage);
	}

# What was counted is given by the sender's deterministic choice: events that the
# engine took for sound, damaged or not, are not among it.
event zeek_done()
	{
	print fmt("events refused: %s", Test::counter("cluster_zeromq_invalid_events_total") > 900.0);
	print fmt("log batches refused: %s", Test::counter("cluster_zeromq_invalid_logs_total") > 700.0);
	print fmt("wrong number of parts: %s", Test::counter("cluster_zeromq_msg_errors_total") > 100.0);
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Test::expected += { "manager" };

event ask(stage: string)
	{
	Cluster::publish(Cluster::manager_topic, ping, stage);
	}

event wait_for_mutants()
	{
	if ( file_size("../sent-all") < 0.0 )
		{
		schedule 50msecs { wait_for_mutants() };
		return;
		}

	event ask("after");
	}

event Test::everyone_up()
	{
	event ask("before");
	}

event pong(stage: string)
	{
	print fmt("pong %s", stage);
	flush_all();

	if ( stage == "before" )
		event wait_for_mutants();
	else
		Test::end();
	}
# @TEST-END-FILE
