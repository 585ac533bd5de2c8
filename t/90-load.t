#!/usr/bin/env perl

# The load generator: its schedules, its counts against the server's books,
# and whether it sees what it is for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Fcntl qw(:flock);
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Helix;

my $root = "$FindBin::Bin/..";
my $load = "$root/build/bench/load";

my @outcomes = qw(good late rejected expired refused aborted errors
                  unanswered);

my %before;

my $t = Helix->new;

is(build(), '', 'it is built without a warning')
    or BAIL_OUT('there is no load generator');

arguments();
schedules();

$t->conf(<<'END_OF_CONF');
%%TEST_GLOBALS%%

worker_processes 1;

events {
    worker_connections 4096;
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    helix_zone helix;

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=4096;

        keepalive_requests 100000;

        location /jobs {
            helix_pass;
        }

        location /pool {
            helix_pass;
            helix_job strategy=cpu_pool final;
        }

        location /drop {
            helix_pass;
            helix_job strategy=drop final;
        }

        location /later {
            default_type application/json;
            add_header Retry-After 1 always;
            return 503 '{"reason":"later","retry_after_ms":60}';
        }

        location /drop-teapot {
            helix_pass;
            helix_job strategy=drop final;
            helix_reject_status 418;
            helix_retry_after off;
        }

        location /helix {
            helix_status;
        }

        location /light {
            return 200 "ok\n";
        }

        location /wrong {
            default_type application/json;
            return 200 '{"id":7}';
        }

        location /broken {
            default_type application/json;
            return 200 '{"id":';
        }

        location /silent {
            return 444;
        }

        location /missing {
            return 404;
        }

        location /chunked {
            ssi on;
            ssi_types *;
            root %%DIR%%/www;
        }

        location /few {
            helix_pass;
            keepalive_requests 5;
        }
    }
}
END_OF_CONF

chmod 0755, $t->dir;
$t->write('www/chunked', join '', map { "line $_\n" } 1 .. 5000);

$t->start;

my $class = 'a,query=kind=hashmix&inputs=42,100,cost=1000';

books();
closed();
retries();
answers();
aborts();
stalls();
honesty();
interrupt();

is_deeply([$t->books], [], 'the books after all of it');


sub build {
    my @sources = (glob("$root/t/bench/load*.c"),
                   map { "$root/src/base/helix_$_.c" }
                       qw(hist json json_writer number));

    mkdir "$root/build";
    mkdir "$root/build/bench";

    # two tiers at the same time must not meet half a program

    open my $lock, '>', "$load.lock" or return "$load.lock: $!";
    flock $lock, LOCK_EX;

    return '' if -e $load && !grep { -M $_ <= -M $load }
                              @sources, glob("$root/t/bench/load*.h"),
                              glob("$root/src/base/*.h"), $0;

    my $out = command(qw(cc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow),
                      '-Werror', "-I$root/src/base", "-I$root/t/bench", '-o',
                      "$load.$$", @sources, '-lm');

    return $out if !rename "$load.$$", $load;

    return $out;
}


# What a command says on both of its outputs; $? is its code.

sub command {
    my (@command) = @_;

    my $pid = open my $pipe, '-|';

    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec { $command[0] } @command or POSIX::_exit(127);
    }

    local $/;
    my $out = <$pipe> // '';
    close $pipe;

    return $out;
}


# Starts a run; finish() waits for it, and checks what every run must obey.

sub start {
    my ($path, @options) = @_;

    my $run = { json => $t->dir . '/load.json', out => $t->dir . '/load.out' };

    unlink $run->{json};

    $run->{pid} = fork // die "fork: $!";

    if ($run->{pid} == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        open STDOUT, '>', $run->{out} or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;
        exec { $load } $load, '--url',
            'http://127.0.0.1:' . $t->port(0) . $path, '--json', $run->{json},
            @options or POSIX::_exit(127);
    }

    return $run;
}


# A run may take its time to begin: until the server has seen some of it.

sub started {
    my ($run) = @_;

    $t->wait_for(sub {
        (($t->stats || {})->{received} // 0) > $before{received} + 20
    }, 'the load to begin', 10);

    return $run;
}


sub finish {
    my ($run) = @_;

    my $ended = $t->wait_for(sub {
        waitpid($run->{pid}, POSIX::WNOHANG()) == $run->{pid}
            and $run->{code} = $?, 1
    }, 'the load to end', 15);

    if (!$ended) {
        kill 'KILL', $run->{pid};
        waitpid $run->{pid}, 0;
        $run->{code} = 9;
    }

    $run->{text} = $t->read('load.out');

    my $json = eval { JSON::PP->new->decode($t->read('load.json')) } // {};

    $run = { %$run, %$json };

    my @wrong = wrong($run);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(!@wrong, 'a run') or diag(join "\n", @wrong, $run->{text});

    return $run;
}


sub run { return finish(start(@_)) }


sub wrong {
    my ($run) = @_;

    my $code = $run->{code} >> 8;
    my $self = $run->{generator} or return "exit code $code, no report";
    my @wrong;

    push @wrong, "killed by $run->{code}" if $run->{code} & 127;

    my $late = $self->{lateness_ms}{p99} > 1;
    my $void = $late || $self->{cpu_share} > 0.7
               || $run->{total}{sent} == 0
               || $self->{unsent} && !$run->{interrupted};

    push @wrong, 'void is ' . ($run->{void} ? 'true' : 'false')
        if !$void != !$run->{void};

    push @wrong, 'void without a reason, or a reason without'
        if !$run->{void} != !@{$run->{void_reasons}};

    push @wrong, "exit code $code" if $code != ($run->{void} ? 3 : 0);

    my @parts = values %{$run->{classes}};

    for my $part ($run->{total}, @parts, $run->{canary} // ()) {
        my ($ends, $status) = (0, 0);

        $ends += $part->{$_} for @outcomes;
        $status += $_ for values %{$part->{status}};

        push @wrong, "sent $part->{sent}, ended $ends"
            if $ends != $part->{sent};
        push @wrong, "answered $part->{answered}, by status $status"
            if $status != $part->{answered};
        push @wrong, 'the quantiles are not in order'
            if grep { $_->{p50} > $_->{p99} || $_->{p99} > $_->{max} }
                    @$part{qw(latency_ms reject_ms)};
    }

    for my $key (qw(sent retries answered), @outcomes) {
        my $sum = 0;
        $sum += $_->{$key} for @parts;

        push @wrong, "$key: total $run->{total}{$key}, of classes $sum"
            if $sum != $run->{total}{$key};
    }

    return @wrong;
}


# What the server has counted since the last call.

sub counted {
    $t->books;

    my $stats = $t->stats;
    my %now = map { $_ => 0 + $stats->{$_} }
                  qw(received invalid dropped admitted completed cancelled);

    my %since = map { $_ => $now{$_} - ($before{$_} // 0) } keys %now;

    %before = %now;

    return \%since;
}


sub arguments {
    like(command($load, '--help'), qr/^usage: load --url/, 'help');
    is($?, 0, 'help is no error');

    my @good = ('--url', 'http://127.0.0.1:1/', '--class', 'a,query=kind=x');

    my @bad = (
        [qr/no --url is given/],
        [qr/no --class is given/, '--url', 'http://127.0.0.1:1/'],
        [qr/a loopback address .* not "192\.0\.2\.1"/, '--url',
         'http://192.0.2.1/'],
        [qr/begins with "http:/, '--url', 'https://127.0.0.1/'],
        [qr/has a bad port/, '--url', 'http://127.0.0.1:0/'],
        [qr/unknown option "--nonsense"/, '--nonsense'],
        [qr/"--rate" needs a value/, '--rate'],
        [qr/"--rate" is a number, not "fast"/, @good, '--rate', 'fast'],
        [qr/"--duration" is a time such as 5ms, not "5"/, '--duration', 5],
        [qr/unknown argument "more"/, @good, 'more'],
        [qr/more than 10000000 requests/, @good, qw(--rate 1e7 --duration 2s)],
        [qr/--schedule "often" is none of/, '--schedule', 'often'],
        [qr/a phase is FACTORxTIME/, '--schedule', 'phases:1'],
        [qr/--retry is obey, at-once or never/, '--retry', 'maybe'],
        [qr/unknown word "when" of --abort/, '--abort', 'when=1s'],
        [qr/has no query=/, '--class', 'a'],
        [qr/"budget" is a time/, '--class', 'a,query=kind=x,budget=5'],
        [qr/"cost" is N, uniform/, '--class', 'a,query=kind=x,cost=even:1:2'],
        [qr/unknown word in class "a": "w=3"/, '--class',
         'a,query=kind=x' . ',w=3'],
        [qr/a field that the generator sets: "id=1"/, '--class',
         'a,query=kind=x&id=1'],
        [qr/given twice/, @good, '--class', 'a,query=kind=y'],
    );

    my @wrong;

    for my $case (@bad) {
        my ($expected, @options) = @$case;
        my $out = command($load, @options);

        push @wrong, "@options: " . ($? >> 8) . ", $out"
            if $? >> 8 != 2 || $out !~ $expected || $out !~ /see --help\n\z/;
    }

    is_deeply(\@wrong, [], 'bad arguments are named');

    like(command($load, '--url', 'http://127.0.0.1:' . $t->port(1) . '/',
                 '--class', 'a,query=kind=x'),
         qr/^load: cannot connect to .*refused/, 'no server');
    is($? >> 8, 1, 'no server is a failure');
}


sub schedule {
    my (@options) = @_;

    return command($load, '--print-schedule', '--url', 'http://127.0.0.1:1/',
                   '--class', 'often,query=kind=x,weight=3,cost=uniform:10:19',
                   '--class', 'rare,query=kind=y,cost=lognormal:5:1',
                   @options);
}


# A share of lines, within so many standard deviations of a binomial.

sub near {
    my ($n, $of, $share, $name) = @_;

    my $sd = sqrt($of * $share * (1 - $share));

    cmp_ok(abs($n - $of * $share), '<', 5 * $sd + 1, $name)
        or diag("$n of $of");
}


sub schedules {
    my @poisson = qw(--rate 1000 --duration 30s);
    my $one = schedule(@poisson, '--seed', 7);

    is(schedule(@poisson, '--seed', 7), $one, 'a seed has one schedule');
    isnt(schedule(@poisson, '--seed', 8), $one, 'another has another');

    my @lines = split /\n/, $one;
    my @at = map { /^([0-9.]+) ms/ } @lines;
    my $n = @lines;

    cmp_ok(abs($n / 30000 - 1), '<', 0.03, 'poisson: the mean rate');
    ok(!(grep { $at[$_] < $at[$_ - 1] } 1 .. $#at), 'in order');

    # of exponential gaps 1/e are longer than the mean

    near(scalar(grep { $at[$_] - $at[$_ - 1] > 1 } 1 .. $#at), $#at, exp(-1),
         'poisson: the gaps');
    near(scalar(grep { / often / } @lines), $n, 0.75, 'weights');

    my @cost = map { / often (\d+)$/ } @lines;

    is(scalar(grep { $_ < 10 || $_ > 19 } @cost), 0, 'uniform costs');
    near(scalar(grep { $_ == 19 } @cost), scalar @cost, 0.1, 'all of them');

    @cost = map { / rare (\d+)$/ } @lines;

    near(scalar(grep { $_ > exp(5) } @cost), scalar @cost, 0.5,
         'lognormal costs: the median');

    @lines = split /\n/, schedule(@poisson, '--abort', 'share=0.2,after=1ms');

    near(scalar(grep { / abort$/ } @lines), scalar @lines, 0.2, 'aborts');

    @at = map { /^([0-9.]+)/ } split /\n/,
          schedule(qw(--rate 100 --duration 1s --schedule constant));

    is_deeply([@at[0, 1, 99], scalar @at], [qw(0.000000 10.000000 990.000000),
                                            100], 'constant');

    @at = map { /^([0-9.]+)/ } split /\n/,
          schedule(@poisson, qw(--schedule square:0.5:1.5:2s));

    near(scalar(grep { $_ / 1000 % 2 == 1 } @at), scalar @at, 0.75, 'square');

    @at = map { /^([0-9.]+)/ } split /\n/,
          schedule(@poisson, qw(--schedule ramp:0:2 --warmup 1s));

    near(scalar(grep { $_ > 16000 } @at), scalar @at, 0.75, 'ramp');

    @at = map { /^([0-9.]+)/ } split /\n/,
          schedule(@poisson, '--schedule', 'phases:0x1s,3x1s,1x4s');

    is(scalar(grep { $_ / 1000 % 6 == 0 } @at), 0, 'phases: none');
    near(scalar(grep { $_ / 1000 % 6 == 1 } @at), scalar @at, 3 / 7,
         'phases: many');

    @at = map { /^([0-9.]+)/ } split /\n/,
          schedule(qw(--rate 100 --duration 300s --schedule onoff:20ms:80ms));

    cmp_ok(abs(@at / 30000 - 1), '<', 0.1, 'onoff: the mean rate');

    my $quiet = grep { $at[$_] - $at[$_ - 1] > 40 } 1 .. $#at;

    cmp_ok($quiet, '>', 1000, 'onoff: with times of silence');
}


sub books {
    counted();

    my $run = run('/jobs', qw(--rate 400 --duration 1s --warmup 250ms),
                  qw(--interval 50ms), '--class', "$class,weight=2",
                  '--class', 'post,query=kind=hashmix&inputs=42,100,'
                             . 'method=POST,cost=uniform:8001:59999,budget=9s',
                  '--class', 'heavy,query=kind=hashmix,cost=100000,budget=9s',
                  '--canary', '/light,rate=100');
    my $books = counted();
    my $total = $run->{total};

    is($books->{received}, $total->{sent} + $run->{generator}{warmup_tries},
       'received is what was sent');
    is($books->{invalid}, 0, 'all of it as it should be');
    cmp_ok($run->{generator}{warmup_tries}, '>', 20, 'a warm-up apart');

    is($total->{answered}, $total->{sent}, 'all is answered');
    is($total->{good} + $total->{rejected} + $total->{late}, $total->{sent},
       'and ends well');

    my $classes = $run->{classes};

    is_deeply($classes->{a}{strategies}, { inline => $classes->{a}{sent} },
              'strategies of a class');
    is_deeply([keys %{$classes->{post}{strategies}}], ['spawn'],
              'strategies of POST');
    near($classes->{a}{sent}, $total->{sent}, 0.5, 'weights');

    is_deeply($run->{canary}{status}, { 200 => $run->{canary}{sent} },
              'the canary lives');
    near($run->{canary}{sent}, 10000, 0.01, 'at its own rate');

    my %sum;

    for my $slot (grep { $_->{at_ms} >= 0 } @{$run->{series}}) {
        $sum{$_} += $slot->{$_} for qw(offered good);
    }

    is($sum{offered}, $total->{sent}, 'the series has all that was offered');
    cmp_ok($sum{good}, '>=', $total->{good}, 'and all that was good');
    is($run->{series}[0]{at_ms}, -250, 'it begins with the warm-up');

    like($run->{text}, qr/^ +1 s  offered \d+  answered \d+  good \d+ /m,
         'progress');
    like($run->{text}, qr/^total +$total->{sent} /m, 'the table');
    like($run->{text}, qr/^canary +$run->{canary}{sent} /m, 'its canary');

    # a server that closes what it has kept

    $run = run('/few', qw(--rate 400 --duration 300ms --class), $class);
    $books = counted();

    is($run->{total}{good}, $books->{completed}, 'short keepalive: all good');
    cmp_ok($run->{generator}{connections_opened}, '>=',
           $run->{total}{sent} / 5, 'on many connections');

    # and one that closes them at the moment they are used

    my $reload = started(start('/jobs', qw(--rate 1000 --duration 600ms),
                               '--class', $class));

    ok($t->reload, 'reload');

    $run = finish($reload);
    $books = counted();

    is($run->{total}{good}, $run->{total}{sent}, 'reload: all good');
    is($books->{received}, $run->{total}{sent}, 'reload: received');
}


sub closed {
    my $run = run('/jobs', qw(--closed 4 --duration 200ms --class), $class);
    my $books = counted();

    is($books->{received}, $run->{total}{sent}, 'closed: received');
    is($run->{total}{good}, $run->{total}{sent}, 'closed: all good');
    is($run->{generator}{connections_at_once}, 4, 'closed: its clients');
}


sub retries {
    my @options = (qw(--rate 200 --duration 250ms --class), $class);

    for my $mode ('never', 'at-once,tries=3', 'obey,tries=3') {
        my $run = run('/drop', @options, '--retry', $mode);
        my $books = counted();
        my $total = $run->{total};
        my $tries = $mode eq 'never' ? 1 : 3;

        is($total->{sent} + $total->{retries}, $tries * $total->{sent},
           "$mode: tries");
        is($books->{received}, $tries * $total->{sent}, "$mode: received");
        is($total->{rejected}, $total->{sent}, "$mode: rejected");
        is_deeply($total->{reasons}, { pinned => $books->{dropped} },
                  "$mode: reasons");
        is_deeply($total->{status}, { 503 => $books->{dropped} },
                  "$mode: status");
    }

    # twice retry_after_ms, not the whole seconds of Retry-After

    my $obeyed = run('/later', @options, qw(--retry obey))->{total};
    my $ignored = run('/later', @options, qw(--retry at-once))->{total};

    is_deeply($obeyed->{reasons}, { later => 3 * $obeyed->{sent} },
              'obey: three tries if not told');
    cmp_ok($obeyed->{reject_ms}{p50}, '>=', 119, 'obey: waits as told');
    cmp_ok($ignored->{reject_ms}{p50}, '<', $obeyed->{reject_ms}{p50},
           'at-once: does not');

    my $run = run('/drop-teapot', @options, '--retry', 'obey');

    is($run->{total}{retries}, 0, 'obey: nothing told');
    is($run->{total}{rejected}, $run->{total}{status}{418},
       'rejected with a status of choice');
    counted();
}


sub answers {
    my @options = (qw(--rate 200 --duration 200ms --class), $class);

    for my $case (['/wrong', 'echo'], ['/broken', 'json'],
                  ['/silent', 'closed'])
    {
        my ($path, $kind) = @$case;
        my $total = run($path, @options)->{total};

        is_deeply($total->{errors_by_kind}, { $kind => $total->{sent} },
                  "errors: $kind");
    }

    my $total = run('/light', @options)->{total};

    is($total->{errors_by_kind}{echo}, $total->{sent}, 'no echo');

    $total = run('/light', @options, '--no-echo')->{total};

    is($total->{good}, $total->{sent}, 'none is wanted');

    $total = run('/missing', @options)->{total};

    is($total->{refused}, $total->{status}{404}, 'another status');

    my $run = run('/chunked', @options, '--no-echo');

    is($run->{total}{good}, $run->{total}{sent}, 'chunks');
    cmp_ok($run->{generator}{connections_opened}, '<', $run->{total}{sent},
           'and then keepalive');
}


# A second of work each, and a client that does not wait for it.  What was
# left before the server has read it is in no book.

sub aborts {
    my $after = 100 * Helix::SLOW . 'ms';
    my $long = 'a,query=kind=hashmix,cost=' . second();

    for my $by (qw(fin rst)) {
        my $run = run('/pool', qw(--rate 100 --duration 300ms --class), $long,
                      '--abort', "share=1,after=$after,by=$by");
        my $books = counted();

        is($run->{total}{aborted}, $run->{total}{sent}, "$by: aborted");
        is($books->{cancelled}, $books->{received}, "$by: cancelled");
        cmp_ok($books->{received}, '>', 0, "$by: received");
        cmp_ok($books->{received}, '<=', $run->{total}{sent},
               "$by: no more than sent");
    }

    my $run = run('/pool', qw(--rate 50 --duration 100ms --timeout), $after,
                  '--class', $long);
    my $books = counted();

    is($run->{total}{unanswered}, $run->{total}{sent}, 'a timeout');
    is($books->{cancelled}, $books->{received}, 'is an end');
}


sub second {
    my $r = $t->get('/jobs?kind=hashmix&compute_cost=9000000000000000');

    counted();

    return $r->json->{limit} || 1e9;
}


# The only worker stands still.  What was due meanwhile has waited, whether
# it could be sent or not: that is what a closed loop does not see.

sub stalls {
    my ($worker) = $t->workers;

    my @options = (qw(--rate 200 --schedule constant --duration 1s --class),
                   "$class,budget=50ms");

    my $stall = sub {
        my $run = started(start('/jobs', @_));

        kill 'STOP', $worker;
        my $from = time;

        sleep 0.35;
        kill 'CONT', $worker;

        return (finish($run), 1000 * (time - $from));
    };

    my ($run) = $stall->(@options);
    my $latency = $run->{total}{latency_ms};

    is($run->{total}{sent}, 200, 'stalled: all of the schedule is sent');
    cmp_ok($latency->{max}, '>', 300, 'stalled: the longest wait');
    cmp_ok($latency->{p90}, '>', 100, 'stalled: all that waited');
    cmp_ok($run->{total}{late}, '>=', 50, 'stalled: late');
    cmp_ok($run->{generator}{connections_at_once}, '>', 50,
           'stalled: opened rather than waited');
    is($run->{generator}{waited_for_connection}, 0, 'stalled: never');
    is(counted()->{completed}, 200, 'stalled: completed');

    ($run) = $stall->(@options, qw(--max-connections 2));

    is($run->{total}{sent}, 200, 'two connections: all is sent');
    cmp_ok($run->{total}{latency_ms}{p90}, '>', 100,
           'two connections: latency counts from the schedule');
    cmp_ok($run->{generator}{waited_for_connection}, '>', 50,
           'two connections: said');
    like($run->{void_reasons}[0], qr/^late: .*--max-connections was reached/,
         'two connections: void');
    like($run->{text}, qr/--max-connections 2 was reached/,
         'two connections: in the table');
    counted();
}


sub honesty {
    my $run = run('/light', qw(--rate 1000000 --duration 50ms --no-echo),
                  qw(--max-connections 100 --class), $class);

    ok($run->{void}, 'too fast: void');
    is($run->{code} >> 8, 3, 'too fast: exit code');
    like($run->{text}, qr/^VOID +\w+: /m, 'too fast: in the table');

    $run = started(start('/jobs', qw(--rate 300 --duration 1s --class),
                         $class));

    kill 'STOP', $run->{pid};
    sleep 0.3;
    kill 'CONT', $run->{pid};

    $run = finish($run);

    like($run->{void_reasons}[0], qr/^late: p99/, 'stopped: void');
    cmp_ok($run->{generator}{lateness_ms}{max}, '>', 200, 'stopped: lateness');
    cmp_ok($run->{total}{latency_ms}{max}, '>', 200,
           'stopped: no excuse for the latency');
    is(counted()->{received}, $run->{total}{sent}, 'stopped: received');

    SKIP: {
        my @nice = $> == 0 ? qw(--nice -10) : ();

        for (1 .. 5) {
            $run = run('/jobs', qw(--rate 500 --duration 200ms), @nice,
                       '--class', $class);
            last if !$run->{void};
        }

        counted();

        skip 'the machine is too busy for an honest run', 1 if $run->{void};

        unlike($run->{text}, qr/VOID/, 'an honest run');
    }
}


sub interrupt {
    my $run = started(start('/jobs', qw(--rate 200 --duration 60s --class),
                            $class));

    my $from = time;
    kill 'INT', $run->{pid};

    $run = finish($run);

    cmp_ok(time - $from, '<', 5 * Helix::SLOW, 'interrupted: ends');
    ok($run->{interrupted}, 'interrupted: said');
    cmp_ok($run->{total}{sent}, '>', 0, 'interrupted: what there is');
    like($run->{text}, qr/; interrupted$/m, 'interrupted: in the table');
    cmp_ok($run->{generator}{unsent}, '>', 1000, 'interrupted: the rest');
}


__END__

=head1 NAME

90-load.t - the load generator F<t/bench/load.c>

=head1 DESCRIPTION

Builds it into F<build/bench/load> and runs it against an nginx of its own.

Asserted are relations that hold on a machine of any speed, busy or not: the
counts of the generator agree with one another and with the server's books;
the void flag, the reasons and the exit code agree with the lateness and the
CPU share that are reported; a stall of the server is in the latency, a stall
of the generator makes the run void.

=over

=item start(PATH, OPTION, ...), started(RUN), finish(RUN), run(PATH, ...)

A run in the background, what waits until the server has seen some of it, its
end, and C<start> with C<finish>.  C<finish> returns the decoded JSON
with C<code> (as C<$?>) and C<text> (both outputs), and fails if the report
contradicts itself.

=item counted()

What the books of the server have gained since the last call.

=item near(N, OF, SHARE, NAME)

Five standard deviations of a binomial: with fixed seeds it fails always or
never.

=back

=cut
