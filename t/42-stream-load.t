#!/usr/bin/env perl

# The stream under load: nothing is lost or told twice, what a slow reader has
# missed is told exactly, and readers do not hold a worker that is to leave.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use IPC::Open2;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

use Helix;
use HelixStream;

use constant SLOW => Helix::SLOW;

my $t = Helix->new(timeout => 20);

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    keepalive_requests 1000000;

    helix_batch size=8 delay=1ms;
    helix_pool compute threads=2 concurrency=2 busy=off;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        listen 127.0.0.1:%%PORT_1%% http2;
        listen 127.0.0.1:%%PORT_2%% sndbuf=16k;

        location /jobs {
            helix_pass hashmix;
            helix_job strategy=$arg_s;
        }

        location /helix {
            helix_status stream=40;
        }

        location /brief {
            send_timeout 1s;
            helix_status stream=40;
        }

        location /big {
            alias %%DIR%%/big;
        }

        location /always {
            lingering_close always;
            helix_status stream=40;
        }

        location /few {
            helix_status stream=2;
        }

        location /none {
            helix_status stream=0;
        }
    }
}
END

my $reader = "$t->{dir}/reader";

system('gcc', '-std=c11', '-D_GNU_SOURCE', '-O2', "$FindBin::Bin/bench/reader.c",
       '-o', $reader) == 0 or BAIL_OUT('reader.c');

$t->start;


# Whether a worker has it.

sub open_file {
    my ($path) = @_;

    return grep { (readlink $_ // '') eq $path }
           map { glob "/proc/$_/fd/*" } $t->workers;
}


# One connection that sends so many requests, some at a time.

sub load {
    my ($n, $query) = @_;

    my $c = $t->connect;
    my $socket = $c->socket;
    my $window = 50;
    my $request = Helix::message('GET', "/jobs?$query");
    my $text = '';

    while ($n > 0) {
        $window = $n if $n < $window;
        $n -= $window;

        $c->send($request x $window);

        for (my $got = 0; $got < $window; ) {
            IO::Select->new($socket)->can_read(20 * SLOW) or return 0;
            sysread $socket, $text, 1 << 20, length $text or return 0;

            $got++ while $text =~ /\GHTTP\/1\.1 \d+ .*?\r\n\r\n\{.*?\}\n?/gcs;
            $text = substr $text, pos $text // 0;
        }
    }

    return 1;
}


# Several at once, each a process.

sub loads {
    my (@loads) = @_;

    my @pids = map {
        my $load = $_;
        my $pid = fork // die "fork: $!";

        if ($pid == 0) {
            POSIX::nice(15);

            my $ok = eval { load(@$load) };

            POSIX::_exit($ok ? 0 : 1);
        }

        $pid;
    } @loads;

    return !grep { waitpid $_, 0; $? } @pids;
}


# Until it knows of so many records; it is connected.

sub start_reader {
    my ($until, $args, $pause, $id) = @_;

    my $out = "$t->{dir}/reader.out." . (++$t->{readers});
    my $before = $t->stats->{stream}{clients};
    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        $ENV{UNTIL} = $until;

        open STDOUT, '>', $out or POSIX::_exit(1);
        exec $reader, $t->port, "/helix/api/stream/decisions?$args", 600,
             $pause // 0, $id // ();
    }

    $t->wait_for(sub {
        $t->stats->{stream}{clients} > $before || -s $out;
    }, 'a reader');

    return { pid => $pid, out => $out };
}


sub end_reader {
    my ($r) = @_;

    my $over;

    kill 'USR1', $r->{pid};

    $t->wait_for(sub { waitpid($r->{pid}, POSIX::WNOHANG()) == $r->{pid}
                       and $over = 1 }, 'a reader to know all')
        or kill 'TERM', $r->{pid};

    waitpid $r->{pid}, 0 if !$over;

    open my $fh, '<', $r->{out} or return {};

    return JSON::PP->new->decode(scalar(<$fh>) // '{}');
}


# every decision and every end, once

my $n = SLOW > 1 ? 1000 : 10000;
my @readers = map { start_reader(@$_) } [8 * $n, ''], [8 * $n, ''],
                  [5 * $n, 'done=0'], [$n, 'strategy=drop'];

ok(loads([$n, 's=inline&cost=1'], [$n, 's=drop'], [$n, 's=spawn&cost=1'],
         [$n, 's=cpu_pool&cost=1'], [$n, 's=batch&cost=1']), 'load');

my $stats = $t->stats;
my @books = map { end_reader($_) } @readers;

is($stats->{received}, 5 * $n, 'all were decided');

for my $i (0, 1) {
    is($books[$i]{decisions}, $stats->{received}, "reader $i: decisions");
    is($books[$i]{done}, $stats->{completed} + $stats->{dropped},
       "reader $i: ends");
    is($books[$i]{$_}, 0, "reader $i: $_") for qw(gaps missed skipped repeated);
    is($books[$i]{records}, 8 * $n, "reader $i: records");
    is($books[$i]{why}, '', "reader $i: why");
}

is($books[2]{decisions}, $stats->{received}, 'without ends');
is($books[2]{done}, 0, 'none');
is($books[3]{decisions}, $stats->{dropped}, 'those that were dropped');


# what was overwritten while it did not read

my $slow = start_reader(60200, '', -1);
my $quick = start_reader(60200, '');

ok(load(200, 's=inline'), 'something to read');
ok(loads(map { [30000, 's=inline&cost=1'] } 1 .. 2), 'more than a ring holds');

my $all = end_reader($quick);

is($all->{records}, 60200, 'a quick reader misses nothing');

my $some = end_reader($slow);

cmp_ok($some->{missed}, '>', 0, 'a slow one does');
is($some->{records} + $some->{missed}, 60200, 'and knows how much');
is($some->{skipped}, $some->{missed}, 'as the numbers say');
is($some->{repeated}, 0, 'nothing twice');
like($some->{why}, qr/^slow( slow)*( ring)*\z/, 'why');


# where it stopped, with any worker

my $s = HelixStream->new($t);

ok(load(20, 's=inline'), 'a few more');
$s->want('done', 20);

my $id = $s->id;

$s->close;

ok(load(1000, 's=spawn'), 'while nobody reads');

for (1 .. 6) {
    my $books = end_reader(start_reader(2000, '', 0, $id));

    is($books->{records}, 2000, 'goes on where it was');
    is($books->{gaps}, 0, 'without a gap');
}

ok(loads(map { [20000, 's=inline&cost=1'] } 1 .. 2), 'more than is kept');

my $books = end_reader(start_reader(42000, '', 0, $id));

is($books->{records} + $books->{missed}, 42000, 'the rest is counted');
like($books->{why}, qr/^resume/, 'and why');


# how many there may be, over all workers

sub place {
    return $t->wait_for(sub {
        my $s = HelixStream->new($t);
        return $s->status == 200 && $s;
    }, 'a place');
}

my @many = map { HelixStream->new($t) } 1 .. 40;

is((grep { $_->status == 200 } @many), 40, '40 readers');

my $r = $t->get('/helix/api/stream/decisions');

is($r->status, 503, 'not one more');
is($r->json->{code}, 'TooManyStreams', 'its code');
like($r->header('Retry-After'), qr/^\d+\z/, 'when to come back');
is($t->get('/few/api/stream/decisions')->status, 503, 'fewer here');
is($t->request('HEAD', '/helix/api/stream/decisions')->status, 200,
   'HEAD is no reader');

(pop @many)->close;

my $one = place();

ok($one, 'another in its place');
is($t->get('/none/api/stream/decisions')->status, 503, 'none at all');

$t->get('/jobs?id=1');

is((grep { $_->want('', 1) == 1 } @many), 39, 'all are told');


# a worker is killed: the others do not notice, its readers come back

$t->expect_kill->expect_alert(qr/shared memory|worker process \d+ exited/);

my ($victim) = $t->workers;

kill 9, $victim;
$t->wait_for(sub { !grep { $_ == $victim } $t->workers }, 'its death');
$t->wait_for(sub { $t->workers == 2 }, 'another worker');

$_->wait(sub { 0 }, 0.05) for @many;

my @gone = grep { !$_->{open} } @many;
my @here = grep { $_->{open} } @many;

cmp_ok(@gone, '>', 0, 'some lost their connection');
cmp_ok(@here, '>', 0, 'others did not');

ok(load(10, 's=inline'), 'jobs again');

my @back = map {
    my $old = $_;

    $t->wait_for(sub {
        my $s = HelixStream->new($t, undef, 'Last-Event-ID: ' . $old->id);
        return $s->status == 200 && $s;
    }, 'a place');
} @gone;

is((grep { $_->want('', 10) == 10 } @back), @gone, 'who comes back, goes on');
is((grep { $_->want('', 11) == 11 } @here), @here, 'who stayed, too');

$_->close for @back, @here, $one;


# one that does not read costs nothing, and is sent away

sub rss {
    my $sum = 0;

    for my $pid ($t->workers) {
        open my $fh, '<', "/proc/$pid/status" or next;
        $sum += /^RssAnon:\s+(\d+)/ ? $1 : 0 while <$fh>;
    }

    return $sum;
}

ok(place(), 'places again');

@many = map { HelixStream->at($t, 2, '/brief') } 1 .. 16;

$_->want('hello', 1) for @many;

my $before = rss();

ok(loads(map { [20000, 's=inline&cost=1'] } 1 .. 2), 'load they do not read');

SKIP: {
    skip 'memory of a sanitizer', 1 if SLOW > 1;

    cmp_ok(rss() - $before, '<', 16 * 200, 'no memory for what is not read');
}

ok($t->wait_for(sub {
       $t->read('logs/error.log') =~ /client timed out.*stream\/decisions/
   }), 'after send_timeout it is gone');

$_->close for @many;


# HTTP/2

my $file = "$t->{dir}/h2.out";

sub curl {
    my ($port, @how) = @_;

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        exec 'curl', '-sN', @how, 'http://127.0.0.1:' . $t->port($port)
             . '/helix/api/stream/decisions';
    }

    return $pid;
}

$t->wait_for(sub { $t->stats->{stream}{clients} == 0 }, 'others to go');

my $h2 = curl(1, '--http2-prior-knowledge', '-o', $file);

$t->wait_for(sub { $t->stats->{stream}{clients} == 1 }, 'a reader');
ok(load(300, 's=inline'), 'jobs for HTTP/2');

my $text = '';

$t->wait_for(sub {
    $text = $t->read('h2.out');
    return (() = $text =~ /^event: done$/gm) == 300;
}, 'all of them');

kill 'TERM', $h2;
waitpid $h2, 0;

like($text, qr/^retry: 2000\nevent: hello\n/, 'HTTP/2');
is(scalar(() = $text =~ /^data: \{"seq".*"job_id"/gm), 300, 'all decisions');


# HTTP/2 with a connection that takes nothing, not even the header, for a while

my $python = '/usr/bin/python3';

SKIP: {
    skip 'no python3-h2', 4 if system("$python -c 'import h2' 2>/dev/null");

    $t->wait_for(sub { $t->stats->{stream}{clients} == 0 }, 'it to go');
    $t->write('big', 'x' x (4 << 20));

    my $pid = open2(my $out, my $in, $python, "$FindBin::Bin/lib/h2.py",
                    $t->port(1), 8192);

    my $say = sub {
        print $in "@_\n";
        $in->flush;

        IO::Select->new($out)->can_read(20 * SLOW) or return 'nothing';

        return (<$out> // '') =~ s/\n//r;
    };

    is($say->('window', 16 << 20), 'ok', 'a large window');
    is($say->('get', '/big'), 'open 1', 'a file that it does not read');

    $t->wait_for(sub { open_file("$t->{dir}/big") }, 'it to be sent');

    is($say->('get', '/helix/api/stream/decisions'), 'open 3', 'a stream');

    $t->wait_for(sub { $t->stats->{stream}{clients} == 1 }, 'the reader');

    is($say->('body', 3, 'hello'), 'body 3', 'is greeted when it reads');

    kill 'TERM', $pid;
    waitpid $pid, 0;
}


# streams take no memory as they go on, with chunks nor with frames

my @curls = ((map { curl(0, '--http1.1', '-o', '/dev/null') } 1, 2),
             (map { curl(1, '--http2-prior-knowledge', '-o', '/dev/null') }
                  1, 2));

$t->wait_for(sub { $t->stats->{stream}{clients} == 4 }, 'readers');
ok(load(5000, 's=inline&cost=1'), 'a little');

$before = rss();

ok(loads(map { [SLOW > 1 ? 1000 : 20000, 's=inline&cost=1'] } 1 .. 2),
   'much more');
is($t->stats->{stream}{clients}, 4, 'they still read');

SKIP: {
    skip 'memory of a sanitizer', 1 if SLOW > 1;

    cmp_ok(rss() - $before, '<', 400, 'no memory for what was sent');
}

kill 'TERM', @curls;
waitpid $_, 0 for @curls;

ok($t->wait_for(sub { $t->stats->{stream}{clients} == 0 }, 'them to go'),
   'all are gone');


# readers do not hold a worker: not 32, not those that do not read

place()->close;

my @deaf = map { HelixStream->at($t, 2, '/helix') } 1 .. 6;
my @watching = map { HelixStream->new($t, 'strategy=drop') } 1 .. 26;

# those with something behind their request: another one, a body that does not
# come, or nothing while nginx would wait for their end

my $head = "GET /helix/api/stream/decisions?strategy=drop HTTP/1.0\r\n"
           . "Host: localhost\r\n";
my @odd = (HelixStream->at($t, 0, '/always', 'strategy=drop'),
           map { HelixStream->with($t, "$head$_") }
               "\r\nGET /helix/health HTTP/1.0\r\n\r\n",
               "Content-Length: 50\r\n\r\n",
               "Content-Length: 50\r\n\r\n0123456789");

$_->want('hello', 1) for @deaf, @watching, @odd;

ok(loads(map { [10000, 's=inline&cost=1'] } 1 .. 2), 'load');

my @old = $t->workers;
my $start = time;

ok($t->reload, 'reload');
ok($t->wait_for(sub { !grep { -e "/proc/$_" } @old },
                'the old workers to leave'), 'they leave');
cmp_ok(time - $start, '<', 2 * SLOW, 'soon');

is((grep { $_->ends(5) } @odd), 4, 'odd ones end');
is((grep { (() = $_->named('bye')) == 1 } @odd), 4, 'are told so once');

is((grep { $_->ends(5) } @watching), 26, 'the streams end');
is((grep { $_->bye eq 'reload' } @watching), 26, 'and say why');

ok($t->wait_for(sub { !grep { $_->{open} && !$_->ends(0.1) } @deaf }, 'ends'),
   'those that did not read, too');

@watching = map { HelixStream->new($t) } 1 .. 8;
$_->want('hello', 1) for @watching;

is_deeply([$t->books], [], 'books');

$t->stop('QUIT');

is((grep { $_->ends(5) } @watching), 8, 'they end with nginx');
is((grep { $_->bye eq 'shutdown' } @watching), 8, 'and say why');

is_deeply([grep { /open socket/ } split /^/, $t->read('logs/error.log')], [],
          'no open socket left');
