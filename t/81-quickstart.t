#!/usr/bin/env perl

# What a new user types: conf/quickstart from beginning to end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Helix;

plan skip_all => 'conf/quickstart builds for Debian\'s nginx'
    if ($ENV{TEST_NGINX_MODULE} // '-') eq '' || $ENV{TEST_WRAP};

chdir "$FindBin::Bin/.." or die;

my $t = Helix->new(stats => undef);
my $dir = $t->dir . '/quickstart';
my $port = $t->port;
my $url = "http://127.0.0.1:$port";

$ENV{HELIX_DIR} = $dir;
$ENV{HELIX_PORT} = $port;
$ENV{no_proxy} = '*';

# whatever happens, nothing of it stays

END {
    my $status = $?;

    quickstart('stop') if defined $dir && -e "$dir/nginx.pid";
    $? = $status;
}

for my $run (1, 2) {
    my ($code, $out) = quickstart();

    is($code, 0, "run $run: ends well") or diag($out);
    unlike($out, qr/ at line |: line \d+:|command not found/,
           "run $run: no complaints of the shell");

    my %reasons = (inline => 'cheap', spawn => 'moderate', cpu_pool => 'heavy',
                   batch => 'batchable', drop => 'pressure');

    my ($jobs) = $out =~ /^(inline: .*)^status: /ms;
    my %seen;

    for my $job (split /^(?=\w+: )/m, $jobs // '') {
        my ($name) = $job =~ /^(\w+): /;

        $seen{$name} = 1;

        like($job, qr/^ {4}strategy  \Q$name\E$/m, "run $run: $name");
        like($job, qr/^ {4}reason    $reasons{$name}$/m,
             "run $run: $name, reason");
        like($job, qr{^ {4}(?:curl|sleep \S+; curl).*$url/jobs\?|'$url/jobs\?}m,
             "run $run: $name, request");
        like($job, $name eq 'drop'
             ? qr/^ {4}answer    503, Retry-After: \d+$/m
             : qr/^ {4}answer    -?\d/m, "run $run: $name, answer");
        like($job, $name eq 'drop'
             ? qr/^ {4}times     none: nothing was executed/m
             : qr/^ {4}times     queue [\d.]+ ms, exec [\d.]+ ms, total [\d.]+/m,
             "run $run: $name, times");
    }

    # the lines of the last run, typed again

    for my $job ($run == 2 ? split /^(?=\w+: )/m, $jobs // '' : ()) {
        my ($name) = $job =~ /^(\w+): /;
        my ($lines) = $job =~ /\A.*\n\n((?: {4}.*\n)+)/;
        my $answer;

        my $file = $t->write('lines', ($lines // 'false') . "wait\n");

        for (1 .. 3) {
            last if ($answer = qx(bash \Q$file\E 2>&1))
                    =~ /(?:"strategy":"|X-Helix-Strategy: )$name\b/;
        }

        like($answer, qr/(?:"strategy":"|X-Helix-Strategy: )$name\b/,
             "$name: the lines can be pasted");
    }

    is_deeply([sort keys %seen], [sort keys %reasons],
              "run $run: all strategies") or diag($out);

    like($out, qr/^helix: \w+ .*^strategy .*^drop +\d+ .*pressure \d+$/ms,
         "run $run: the status");
    like($out, qr{^ {4}\Q$url\E/helix/ }m, "run $run: URLs");
    like(qx(curl -s -H 'Accept: text/html' $url/helix/), qr/^<!doctype html>/i,
         "run $run: the dashboard");
    like($out, qr{^ {4}conf/quickstart stop$}m, "run $run: how to stop");

    # lines to paste, but for the table of the status

    my $long = join "\n", grep { length > 100 && !/^(?:\w+ +(?:admitted|\d)|! )/ }
               split /\n/, $out;

    is($long, '', "run $run: no line is too long");
    unlike($out, qr/[^\n\x20-\x7e]/, "run $run: plain ASCII");
    unlike($out, qr/strategy=/, "run $run: nothing is pinned");

    my ($next) = $out =~ /^try next: (?s:.*?)\n\n((?: {4}.*\n)+)/m;
    my @next = map { s/^ +//r } split /\n/, $next // '';

    is(scalar @next, 6, "run $run: six things to try next");

    my @answers = map { scalar qx($_ -s 2>&1) } @next;

    like($answers[0], qr/"outputs":\[22044\]/, "run $run: the first works");
    like($answers[1], qr/"did_you_mean":"hashmix"/,
         "run $run: the second is a mistake that helps");
    like($answers[2], qr/"outputs":\["10216004649843298165"\]/,
         "run $run: the third works");
    like($answers[3], qr/"level":0.99,"alpha"|"es":|"var/,
         "run $run: the fourth works");
    like($answers[4], qr/"batch_max_size":16\b/, "run $run: the fifth works");
    like($answers[5], qr/^\{"started":200,"rate":40,"seconds":5,"seed":7\}$/m,
         "run $run: the sixth works");
    like(qx(curl -s $url/helix/api/decisions?n=1), qr/"id":\d*00\d/,
         "run $run: and is under way");

    is(scalar workers(), 2, "run $run: two workers");

    my ($reload) = $out =~ /^ {4}(\S+ -p .* -s reload)$/m;

    is(system("$reload 2> /dev/null"), 0, "run $run: the reload line works")
        if $run == 2;
}


# the port is taken: by another quickstart, and by somebody else

{
    local $ENV{HELIX_DIR} = $t->dir . '/other';

    my ($code, $out) = quickstart();

    is($code, 1, 'taken port: fails');
    like($out, qr/port $port is taken/, 'taken port: says so');
    like($out, qr/HELIX_PORT=\d+ conf\/quickstart/, 'taken port: HELIX_PORT=');
    ok(!-e $t->dir . '/other/nginx.pid', 'taken port: nothing was started');

    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1',
                                       LocalPort => $t->port(1),
                                       ReuseAddr => 1);
    local $ENV{HELIX_PORT} = $t->port(1);

    ($code, $out) = quickstart();

    is($code, 1, 'port of another program: fails');
    like($out, qr/HELIX_PORT=\d+ /, 'port of another program: HELIX_PORT=');
}

for my $bad ('0', '65536', 'x', '80 80') {
    local $ENV{HELIX_PORT} = $bad;

    my ($code, $out) = quickstart();

    is($code, 1, "HELIX_PORT=$bad: fails");
    like($out, qr/HELIX_PORT=$bad is not a port/, "HELIX_PORT=$bad: says so");
}

is((quickstart('nonsense'))[0], 2, 'usage');


# a pid file with the pid of another process: not ours to stop

my $pid = slurp("$dir/nginx.pid");

ok($pid =~ /^\d+$/ && kill(0, $pid), 'it runs');

{
    local $ENV{HELIX_DIR} = $t->dir . '/stale';
    mkdir $ENV{HELIX_DIR};
    $t->write('stale/nginx.pid', "$$\n");

    is((quickstart('stop'))[1], "not running\n", 'a stale pid file');
}

my ($code, $out) = quickstart('stop');

is($code, 0, 'stop');
is($out, "stopped\n", 'stop says so');
ok(!kill(0, $pid), 'the master is gone');
is(scalar workers(), 0, 'no process is left');
is((quickstart('stop'))[1], "not running\n", 'stop once more');
unlike(slurp("$dir/logs/error.log"), qr/\[(?:alert|emerg|crit|error)\]/,
       'no errors in the log');


sub quickstart {
    my $out = qx(conf/quickstart @_ 2>&1 < /dev/null);

    return ($? >> 8, $out);
}


# by the folder in the command line of the master

sub workers {
    my @workers;

    for my $stat (glob '/proc/[0-9]*/stat') {
        my ($id, $parent) = slurp($stat) =~ /^(\d+) \(.*\) \S (\d+)/ or next;

        push @workers, $id
            if slurp("/proc/$parent/cmdline") =~ /\Q$dir\E/
               && slurp("/proc/$id/cmdline") =~ /^nginx: worker process/;
    }

    return @workers;
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or return '';
    local $/;
    my $text = <$fh> // '';
    chomp $text;

    return $text;
}
