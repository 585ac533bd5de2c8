#!/usr/bin/env perl

# The settings file; many who change settings at once; workers that are killed
# while they do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use MIME::Base64 ();
use POSIX ();
use Test::More;
use Time::HiRes ();
use Helix;

my $t = Helix->new;

my $template = <<'END_OF_CONF';
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%
    CONF

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /helix {
            helix_status write=on;
        }

        location /read {
            helix_status;
        }
    }
}
END_OF_CONF

sub conf { return $template =~ s/CONF/$_[0]/r }

sub config { return $t->get('/helix/api/config')->json }

sub is_set {
    my ($name, $value, $source, $what) = @_;

    my $c;

    $t->wait_for(sub {
        $c = config();
        return $c->{config}{$name} == $value
               && $c->{origin}{$name}{source} eq $source;
    }, "$name $value from $source", 15);

    is("$c->{config}{$name} $c->{origin}{$name}{source}", "$value $source",
       $what);

    return $c;
}

sub patch {
    my ($body, @headers) = @_;

    return $t->request('PATCH', '/helix/api/config', $body,
                       'Content-Type' => 'application/json', @headers);
}

# as it should be replaced

sub put {
    my ($text) = @_;

    $t->write('new.json', $text);
    rename $t->dir . '/new.json', $t->dir . '/settings.json' or die $!;
}

sub refused {
    my ($what) = @_;

    my @lines = grep { /\[error\].*settings file "[^"]*" is refused: .*\Q$what/ }
                split /\n/, $t->read('logs/error.log');

    return scalar @lines;
}


# a file that is not there is none; nginx -t does not look

my $directive = 'helix_settings settings.json; helix_batch size=4;';

$t->write('settings.json', '{');
is(($t->nginx_t(conf($directive)))[0], 0, 'nginx -t does not read it');
unlink $t->dir . '/settings.json';

$t->conf(conf($directive));
$t->start;

is_set('batch_max_size', 4, 'nginx.conf', 'no file');
is(refused(''), 0, 'which is no error');


# it comes, between nginx.conf and what is set at run time

is(patch('{"ema_alpha":0.5}')->status, 200, 'alpha at run time');
put('{"batch_max_size":16,"ema_alpha":0.20}');

my $c = is_set('batch_max_size', 16, 'file', 'a file');

is_deeply([@{$c->{origin}{batch_max_size}}{qw(file conf)}], [16, 4],
          'its origin');
is("$c->{config}{ema_alpha} $c->{origin}{ema_alpha}{source}", '0.5 runtime',
   'what is set at run time goes before it');
is($c->{origin}{ema_alpha}{file}, 0.2, 'it says so');
is($t->stats->{config}{overrides}, 2, 'two are different');
is(patch('{"ema_alpha":null}')->json->{config}{ema_alpha}, 0.2,
   'back is back to the file');
is($t->get('/helix/api/config?history=1')->json->{history}[1]{source}, 'file',
   'in the history');
like($t->read('logs/error.log'),
     qr/settings changed by settings file, generation \d+: batch_max_size 4/,
     'in the log');


# what is wrong with it is told once, and what it said before stays

put('{"batch_max_size":32,"cpu_parallelism":65,"ema_alph":1,'
    . '"inline_threshold":70000}');

$t->wait_for(sub { refused('') }, 'a line', 15);
is(refused('ema_alph'), 1, 'the sentences');

my ($line) = grep { /is refused/ } split /\n/, $t->read('logs/error.log');

like($line, qr/$_/, "told: $_") for 'cpu_parallelism 65 is out of range',
    'did you mean "ema_alpha"', 'inline_threshold 70000 must be below';

Time::HiRes::sleep(6);
is(refused(''), 1, 'once');
is_set('batch_max_size', 16, 'file', 'nothing of it is applied');


# over a reload, and read at start

ok($t->reload, 'reload');
is(config()->{config}{batch_max_size}, 16, 'what it said stays');
is(refused(''), 1, 'it is not told again');
put('{"batch_max_size":64,"version":1,"cpu_queue_cap":null}');
ok($t->reload, 'reload');
is(config()->{config}{batch_max_size}, 64, 'a new one is read at once');


# what is no file

put('{"batch_max_size":7');
$t->wait_for(sub { refused('unexpected end at line 1, column 20') }, 'JSON',
             15);
is(refused('unexpected end at line 1, column 20'), 1, 'where it ends');

unlink $t->dir . '/settings.json';
POSIX::mkfifo($t->dir . '/settings.json', 0666);
$t->wait_for(sub { refused('no regular file') }, 'a FIFO', 15);
is(refused('no regular file'), 1, 'a FIFO');
is($t->get('/jobs?kind=hashmix')->status, 200, 'nobody waits for it');
is_set('batch_max_size', 64, 'file', 'what it said stays');

unlink $t->dir . '/settings.json';
put('{"batch_max_size":9,"ema_alpha":0.1}' . ' ' x 70000);
$t->wait_for(sub { refused('more than 65536 bytes') }, 'a large one', 15);
is(refused('more than 65536 bytes'), 1, 'a large one');


# its end takes along what goes only with it

put('{"spawn_threshold":90000}');
is_set('spawn_threshold', 90000, 'file', 'another file');
is_set('batch_max_size', 4, 'nginx.conf', 'what is not in it is back');
is(patch('{"inline_threshold":70000,"ema_alpha":0.3}')->status, 200,
   'a change that goes with it');
unlink $t->dir . '/settings.json';
is_set('spawn_threshold', 60000, 'default', 'the file is gone');
is_set('inline_threshold', 8000, 'default', 'and what does not go without');
is_set('ema_alpha', 0.3, 'runtime', 'the rest stays');

put('{"batch_max_size":16}');
is_set('batch_max_size', 16, 'file', 'it is back');
$t->conf(conf('helix_batch size=4;'));
ok($t->reload, 'reload without the directive');
is_set('batch_max_size', 4, 'nginx.conf', 'what it said is gone');


# who

patch('{"ema_alpha":0.4}', Authorization => 'Basic '
      . MIME::Base64::encode_base64("a\x07d\"min\n[x]:pw", ''));
is(config()->{origin}{ema_alpha}{by}, 'a_d_min__x_@127.0.0.1',
   'the user, printable');
patch('{"ema_alpha":0.41}', Authorization => 'Basic '
      . MIME::Base64::encode_base64('u' x 200 . ':pw', ''));
is(config()->{origin}{ema_alpha}{by}, 'u' x 24 . '@127.0.0.1', 'and short');


# and only those who may change it are told

for ('', '?history=1') {
    like($t->get("/helix/api/config$_")->body, qr/uuuu\@127/, "told: $_");
    unlike($t->get("/read/api/config$_")->body, qr/uuu|127\.0\.0\.1/,
           "not told: $_");
}

is($t->get('/read/api/config')->json->{origin}{ema_alpha}{source}, 'runtime',
   'but that it was changed');
is($t->request($_, '/helix/api/config/nothing', '{}',
               'Content-Type' => 'application/json')->status, 404,
   "$_ of a setting that is not there") for qw(GET POST PATCH DELETE);
is($t->request('PATCH', '/helix/api/config/ema_alpha', '{}',
               'Content-Type' => 'application/json')->status, 405,
   'PATCH of one that is');
like($t->request('GET', '/helix/', undef, Accept => 'text/html')->body,
     qr/uuuu\@127/, 'the dashboard likewise');
unlike($t->request('GET', '/read/', undef, Accept => 'text/html')->body,
       qr/uuu|127\.0\.0\.1/, 'tells nobody else');
is($t->request('DELETE', '/helix/api/config')->status, 200, 'all back');


# many at once, each adding one: none undoes what another did

sub adders {
    my ($n, $each, $children) = @_;

    return map {
        my $pid = fork // die;

        if ($pid == 0) {
            my ($done, $lost) = (0, 0);

            alarm 60 * Helix::SLOW;

            while ($done < $each) {
                my $now = eval { config() };

                next if !$now || !$now->{config};

                my $r = eval { patch('{"cpu_queue_cap":'
                                     . ($now->{config}{cpu_queue_cap} + 1)
                                     . '}', 'If-Match' => $now->{etag}) };

                my $status = $r ? $r->status // 0 : 0;

                $done++ if $status == 200;
                $lost++ if $status !~ /^(?:200|412|503)$/;
                $done++ if $lost && $children;
            }

            POSIX::_exit($lost && !$children ? 1 : 0);
        }

        $pid;
    } 1 .. $n;
}

my $before = config();
my @pids = adders(6, 25);
my $failed = 0;

for my $pid (@pids) {
    waitpid $pid, 0;
    $failed++ if $?;
}

is($failed, 0, 'six clients');

my $after = config();

is($after->{config}{cpu_queue_cap}, $before->{config}{cpu_queue_cap} + 150,
   'each change counts once');
is($after->{generation}, $before->{generation} + 150, 'in as many versions');


# workers that are killed meanwhile leave settings that hold

@pids = adders(6, 200, 1);

my $kills = 0;

for (1 .. 12) {
    Time::HiRes::sleep(0.05 + rand 0.1);

    my @workers = $t->workers or next;

    $kills++ if kill 9, $workers[rand @workers];
}

kill 9, @pids;
waitpid $_, 0 for @pids;

$t->expect_kill($kills);
$t->expect_alert(qr/exited on signal 9/);

ok($t->wait_for(sub { $t->workers == 2 && eval { config() } }, 'workers'),
   "$kills workers were killed");

my %seen = map { my $x = config(); ($x->{etag} . ' '
    . JSON::PP->new->canonical->allow_bignum->allow_blessed
              ->encode($x->{config}) => 1) } 1 .. 20;

is(scalar keys %seen, 1, 'all agree');
cmp_ok(config()->{config}{cpu_queue_cap}, '>', 662, 'on what was done');
is(patch('{"cpu_queue_cap":700}')->json->{config}{cpu_queue_cap}, 700,
   'and can go on');
