#!/usr/bin/env perl

# Settings over reloads: a file that is missing for a moment, workers of two
# configurations, what is published at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes ();
use Helix;

my $t = Helix->new;

my $template = <<'END_OF_CONF';
%%TEST_GLOBALS%%

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%
    CONF

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /helix {
            helix_status write=on;
        }
    }
}
END_OF_CONF

sub conf { return $template =~ s/CONF/$_[0]/r }

sub config { return $t->get('/helix/api/config')->json }

sub message {
    my ($body) = @_;

    return Helix::message('PATCH', '/helix/api/config', $body,
                          'Content-Type' => 'application/json');
}

sub patch { my $c = $t->connect; $c->send(message(@_)); return $c->recv }

sub said {
    my ($what) = @_;

    return scalar grep { /\Q$what/ } split /\n/, $t->read('logs/error.log');
}

sub both {
    my $c = config();

    return join ' ', map { "$c->{config}{$_} $c->{origin}{$_}{source}" }
                         qw(spawn_threshold inline_threshold);
}


# the file is read with nginx.conf, and published with it

$t->write('a.json', '{"spawn_threshold":90000}');
$t->conf(conf('helix_settings a.json;'));
$t->start;

is(config()->{generation}, 1, 'one version at start');
is(both(), '90000 file 8000 default', 'with that of the file');

$t->write('b.json', '{"spawn_threshold":80000,"batch_max_size":16}');
$t->conf(conf('helix_settings b.json;'));
ok($t->reload, 'reload with another file');

my $c = config();

is($c->{generation}, 2, 'one version');
is($c->{config}{batch_max_size}, 16, 'with what it says');
is($c->{origin}{batch_max_size}{source}, 'file', 'as its');


# a file that is missing for a moment

is(patch('{"inline_threshold":70000}')->status, 200,
   'a change that goes with the file alone');

rename $t->dir . '/b.json', $t->dir . '/away' or die $!;

ok($t->reload, 'reload while it is away');
is(both(), '80000 file 70000 runtime', 'nothing is lost');

rename $t->dir . '/away', $t->dir . '/b.json' or die $!;


# looks are 5 s apart, the first is at the reload: one finds nothing

my $start = Time::HiRes::time();
my %seen;

sub watch {
    my ($until) = @_;

    while (Time::HiRes::time() - $start < $until) {
        $seen{both()} = 1;
        Time::HiRes::sleep(0.05);
    }
}

ok($t->reload, 'reload');
rename $t->dir . '/b.json', $t->dir . '/away' or die $!;
watch(7);
rename $t->dir . '/away', $t->dir . '/b.json' or die $!;

SKIP: {
    skip 'it took too long', 1 if Time::HiRes::time() - $start > 9.5;

    watch(12);
    is(join(', ', keys %seen), '80000 file 70000 runtime', 'nor at a look');
}

unlink $t->dir . '/b.json';
$t->conf(conf('helix_settings b.json; helix_spawn_threshold 200000;'
              . 'helix_inline_threshold 85000;'));
ok($t->reload, 'reload with what does not go with it');
is(both(), '200000 nginx.conf 85000 nginx.conf', 'nginx.conf holds');
is(said('spawn_threshold 80000, of the settings file, is dropped'), 1,
   'what is dropped is said to be of the file');
is(said('inline_threshold 70000, set at run time, is dropped'), 1,
   'and what was set at run time');


# a worker of an older configuration goes by the newest

sub held {
    my ($body, $before, $after) = @_;

    $t->conf(conf($before));
    ok($t->reload, "reload: $before");

    my $text = message($body);
    my $client = $t->connect;
    my @old = $t->workers;

    $client->send(substr $text, 0, -1);
    $t->get('/helix');

    my $generation = config()->{generation};

    $t->conf(conf($after));
    $t->signal('HUP');
    ok($t->wait_for(sub { eval { config()->{generation} } > $generation },
                    'a new worker'), "reload: $after");
    ok((kill 0, @old), 'the old one is there');

    $client->send(substr $text, -1);

    return $client->recv;
}

my $few = 'helix_pool compute threads=2 concurrency=2 busy=off;';
my $many = 'helix_pool compute threads=8 concurrency=2 busy=off;';

my $r = held('{"cpu_parallelism":6}', $many, $few);

is($r->status, 422, 'more than the new threads');
like($r->body, qr/helix_pool has threads=2/, 'it says so');
is(config()->{config}{cpu_parallelism}, 2, 'nothing was changed');

$r = held('{"cpu_parallelism":6}', $few, $many);

is($r->status, 200, 'more than the old threads');
is(config()->{config}{cpu_parallelism}, 6, 'as many as there are now');
