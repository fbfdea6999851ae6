# @TEST-DOC: engine_threads, engine_gc_percent and engine_memory_limit reach the Go runtime, as its own traces show.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -d threads-1 GODEBUG=schedtrace=50 - %INPUT Cluster::Backend::ZeroMQ::engine_threads=1
# @TEST-EXEC: node -d threads-5 GODEBUG=schedtrace=50 - %INPUT Cluster::Backend::ZeroMQ::engine_threads=5
# @TEST-EXEC: wait-for grep -q "gomaxprocs=1 " threads-1/.stderr
# @TEST-EXEC: wait-for grep -q "gomaxprocs=5 " threads-5/.stderr
#
# Collection off; off but for a limit that is always exceeded; at every percent.
# @TEST-EXEC: node -d never GODEBUG=gctrace=1 - %INPUT Cluster::Backend::ZeroMQ::engine_gc_percent=-1
# @TEST-EXEC: node -d limit GODEBUG=gctrace=1 - %INPUT Cluster::Backend::ZeroMQ::engine_gc_percent=-1 Cluster::Backend::ZeroMQ::engine_memory_limit=1000
# @TEST-EXEC: node -d often GODEBUG=gctrace=1 - %INPUT Cluster::Backend::ZeroMQ::engine_gc_percent=1
# @TEST-EXEC: wait-for grep -q "^gc [0-9]* @" limit/.stderr
# @TEST-EXEC: wait-for grep -q "^gc [0-9]* @" often/.stderr
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: ! grep -q "^gc [0-9]* @" never/.stderr

@load cluster-test

redef Test::end_on_file = "../over";
