package Helix;

# One nginx for one test file.  The documentation is at the end.

use strict;
use warnings;

use Test::More ();
use Cwd ();
use File::Basename ();
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes ();

use constant SLOW => $ENV{TEST_SLOW} || 1;

my $ROOT = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../..');

my @ENDS = qw(completed failed expired cancelled shed lost in_flight);

my $SANITIZER = qr/(?: Sanitizer | runtime\ error: | ^==\d+==\s
                     | \bUninitialised\b )/x;

my @all;
my $expected = 0;
my $open_plan = 0;

$SIG{$_} ||= sub { exit 1 } for qw(INT TERM HUP);
$SIG{PIPE} = 'IGNORE';


sub new {
    my ($class, %args) = @_;

    my $self = bless {
        stats     => '/helix/api/stats',
        timeout   => 10,
        %args,
        owner     => $$,
        ports     => [],
        groups    => [],
        locks     => [],
        alerts    => [],
        kills     => 0,
        log       => { offset => 0, lines => [], workers => {} },
    }, $class;

    $self->{dir} = File::Temp::tempdir('helix-XXXXXXXX', TMPDIR => 1);
    chmod 0755, $self->{dir};

    mkdir "$self->{dir}/logs";
    chmod 0777, "$self->{dir}/logs";

    if (defined $args{tests}) {
        $expected += $args{tests};

    } else {
        $open_plan = 1;
    }

    push @all, $self;

    return $self;
}


# configuration

sub conf {
    my ($self, $text) = @_;

    $self->{workers} = $text =~ /^\s*worker_processes\s+(\d+)/m ? $1 : 1;

    return $self->write('nginx.conf', $self->_expand($text, 'nginx'));
}


sub write {
    my ($self, $name, $content) = @_;

    my $path = "$self->{dir}/$name";

    File::Path::make_path(File::Basename::dirname($path));

    open my $fh, '>:raw', $path or die "$path: $!";
    print $fh $content;
    close $fh or die "$path: $!";

    return $path;
}


sub read {
    my ($self, $name) = @_;

    return _slurp("$self->{dir}/$name");
}


sub _slurp {
    my ($path) = @_;

    open my $fh, '<:raw', $path or return '';
    local $/;

    return scalar(<$fh>) // '';
}


sub dir { $_[0]{dir} }


# A port belongs to whoever holds the UDP port of the same number, so that
# tests that run at the same time never meet.

sub port {
    my ($self, $n) = @_;

    return $self->{ports}[$n // 0] if $self->{ports}[$n // 0];

    for my $port (18000 .. 19999) {
        my $lock = IO::Socket::INET->new(Proto => 'udp',
                                         LocalAddr => '127.0.0.1',
                                         LocalPort => $port) or next;

        IO::Socket::INET->new(Proto => 'tcp', Listen => 1, ReuseAddr => 1,
                              LocalAddr => '0.0.0.0',
                              LocalPort => $port) or next;

        push @{$self->{locks}}, $lock;

        return $self->{ports}[$n // 0] = $port;
    }

    die 'no free port';
}


sub _expand {
    my ($self, $text, $name) = @_;

    my $dir = $self->{dir};
    my $log = $name eq 'nginx' ? 'error.log' : "$name.log";
    my $level = $ENV{TEST_DEBUG} ? 'debug' : 'info';
    my $module = $ENV{TEST_NGINX_MODULE}
                 // "$ROOT/build/debian/ngx_http_helix_module.so";

    my $globals = "pid $dir/$name.pid;\nerror_log $dir/logs/$log $level;\n";

    $globals = "load_module $module;\n$globals" if $module ne '';

    if ($> == 0) {
        my $gid = (getpwnam 'nobody')[3];
        my $user = $self->{user} // 'nobody ' . getgrgid $gid;

        $globals .= "user $user;\n";
    }

    my $http = "log_format helix '\$remote_addr \"\$request\" \$status "
               . "\$body_bytes_sent \$request_time';\n"
               . "access_log $dir/logs/access.log helix;\n"
               . "root $dir;\n";

    $http .= "${_}_temp_path $dir/${_}_temp;\n"
        for qw(client_body proxy fastcgi uwsgi scgi);

    $text =~ s/%%TEST_GLOBALS%%/$globals/g;
    $text =~ s/%%TEST_GLOBALS_HTTP%%/$http/g;
    $text =~ s/%%DIR%%/$dir/g;
    $text =~ s/%%PORT_(\d+)%%/$self->port($1)/ge;

    $text =~ /(%%\w+%%)/ and die "unknown $1 in the configuration";

    return $text;
}


# processes

sub start {
    my ($self) = @_;

    die 'already started' if $self->{master};

    $self->_guard unless $self->{guard};

    my ($code, $out) = $self->_run('start', qw(-c nginx.conf -e),
                                   'logs/error.log');

    die "nginx did not start ($code):\n$out" if $code;

    my $master = $self->wait_for(sub { $self->master_pid }, 'pid file')
                     or die 'nginx wrote no pid file';

    push @{$self->{groups}}, $master;
    syswrite $self->{guard}, "$master\n";

    $self->wait_for(sub { $self->workers >= $self->{workers} },
                    'workers to start')
        or die "no workers:\n" . $self->read('logs/error.log');

    return $self;
}


# Without the test, whatever the reason, there is no nginx.

sub _guard {
    my ($self) = @_;

    pipe my $in, $self->{guard} or die "pipe: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        POSIX::setsid();
        $SIG{$_} = 'IGNORE' for qw(INT TERM HUP);

        close $self->{guard};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';

        my %masters;

        while (defined(my $line = <$in>)) {
            my ($gone, $master) = $line =~ /^(-?)(\d+)/ or next;

            $gone ? delete $masters{$master} : ($masters{$master} = 1);
        }

        kill -9, keys %masters;

        POSIX::_exit(0);
    }

    close $in;

    $self->{guard_pid} = $pid;

    return;
}


sub _environment {
    my ($self) = @_;

    my $logs = "$self->{dir}/logs";

    return (
        HELIX_LOGS    => $logs,
        ASAN_OPTIONS  => 'detect_leaks=1:abort_on_error=1:disable_coredump=1:'
                         . "detect_stack_use_after_return=1:log_path=$logs/asan"
                         . ':' . ($ENV{TEST_ASAN_OPTIONS} // ''),
        UBSAN_OPTIONS => 'halt_on_error=1:print_stacktrace=1',
    );
}


# Runs nginx until it exits or has become a daemon.

sub _run {
    my ($self, $name, @args) = @_;

    my @wrap = split ' ', $ENV{TEST_WRAP} // '';
    my $binary = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
    my $out = "$self->{dir}/logs/$name.out";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        %ENV = (%ENV, $self->_environment);
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);

        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT;

        no warnings 'exec';
        exec { $wrap[0] // $binary } @wrap, $binary, '-p', $self->{dir}, @args
            or POSIX::_exit(127);
    }

    my $status;

    $self->wait_for(sub {
        waitpid($pid, POSIX::WNOHANG()) == $pid and $status = $?, 1
    }, "nginx @args") or do {
        kill 9, $pid;
        waitpid $pid, 0;
        $status = 9;
    };

    my $code = $status & 127 ? 128 + ($status & 127) : $status >> 8;

    return ($code, $self->read("logs/$name.out"));
}


sub nginx_t {
    my ($self, $text) = @_;

    $self->write('test.conf', $self->_expand($text, 'test'));

    return $self->_run('test', qw(-t -c test.conf -e logs/test.log));
}


# After USR2 the file has the new master.

sub master_pid {
    my ($self) = @_;

    my ($pid) = $self->read('nginx.pid') =~ /^(\d+)\n/;

    $self->{master} = $pid if $pid && _alive($pid);

    return $self->{master};
}


sub _alive {
    my ($pid) = @_;

    open my $fh, '<', "/proc/$pid/stat" or return 0;

    return (<$fh> // '') =~ /\) [^ZX] /;
}


sub _group {
    my ($self) = @_;

    my %groups = map { $_ => 1 } @{$self->{groups}};
    my @pids;

    for my $file (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $file or next;

        push @pids, $1
            if (<$fh> // '') =~ /^(\d+) \(.*\) [^ZX] \d+ (\d+) /s
               && $groups{$2};
    }

    return @pids;
}


# What error.log has told since the last call: workers come and go.

sub _log {
    my ($self) = @_;

    my $log = $self->{log};

    open my $fh, '<:raw', "$self->{dir}/logs/error.log" or return $log;
    seek $fh, $log->{offset}, 0;

    while (defined(my $line = <$fh>)) {
        last if $line !~ /\n\z/;

        $log->{offset} += length $line;

        next if $line =~ / \[debug\] /;

        if ($line =~ /: start worker process (\d+)$/) {
            $log->{workers}{$1} = 'running';

        } elsif ($line =~ / (\d+)#\d+: (?:gracefully shutting down|exiting)$/) {
            $log->{workers}{$1} = 'leaving' if $log->{workers}{$1};

        } elsif ($line =~ /\ process\ (\d+)\ exited\ (on\ signal|with\ code)
                            \ (\d+)/x)
        {
            delete $log->{workers}{$1};
            push @{$log->{exits}}, "$2 $3";
        }

        push @{$log->{lines}}, $line
            if $line =~ / \[(?:alert|emerg)\] / || $line =~ $SANITIZER;
    }

    return $log;
}


sub workers {
    my ($self) = @_;

    my $workers = $self->_log->{workers};

    my @pids = grep { $workers->{$_} eq 'running' && _alive($_) }
                    sort { $a <=> $b } keys %$workers;

    return @pids;
}


sub signal {
    my ($self, $name) = @_;

    my $master = $self->master_pid or die 'nginx does not run';

    return kill $name, $master;
}


sub reload {
    my ($self) = @_;

    my %old = map { $_ => 1 } $self->workers;

    $self->signal('HUP');

    my $ok = $self->wait_for(sub {
        my @now = $self->workers;

        return @now >= $self->{workers} && !grep { $old{$_} } @now;
    }, 'reload');

    return $ok;
}


sub stop {
    my ($self, $signal) = @_;

    my $master = $self->master_pid or return 1;

    kill $signal || 'QUIT', $master;

    my $ok = $self->wait_for(sub { !_alive($master) }, 'nginx to stop');

    delete $self->{master} if $ok;

    return $ok;
}


# requests

sub connect {
    my ($self, $n) = @_;

    return Helix::Connection->new($self->port($n // 0), $self->{timeout});
}


sub raw {
    my ($self, $bytes, %args) = @_;

    my $c = $self->connect($args{port});

    $c->send($bytes);

    return $c->recv(%args) // Helix::Response->none($c->error);
}


sub get {
    my ($self, $path, @headers) = @_;

    return $self->request('GET', $path, undef, @headers);
}


sub post {
    my ($self, $path, $body, $type, @headers) = @_;

    return $self->request('POST', $path, $body,
                          'Content-Type' => $type // 'application/json',
                          @headers);
}


sub request {
    my ($self, $method, $path, $body, @headers) = @_;

    return $self->raw(message($method, $path, $body, Connection => 'close',
                              @headers),
                      head => $method eq 'HEAD');
}


sub message {
    my ($method, $path, $body, @headers) = @_;

    my %given;
    my $text = '';

    while (my ($name, $value) = splice @headers, 0, 2) {
        $given{lc $name} = 1;
        $text .= "$name: $value\r\n";
    }

    $text = "Host: localhost\r\n$text" unless $given{host};

    if (defined $body) {
        utf8::encode($body) if utf8::is_utf8($body);

        $text .= 'Content-Length: ' . length($body) . "\r\n"
            unless $given{'content-length'} || $given{'transfer-encoding'};
    }

    return "$method $path HTTP/1.1\r\n$text\r\n" . ($body // '');
}


sub wait_for {
    my ($self, $code, $what, $seconds) = @_;

    my $end = Time::HiRes::time() + ($seconds // $self->{timeout}) * SLOW;

    for ( ;; ) {
        my $value = $code->();

        return $value if $value;

        last if Time::HiRes::time() > $end;

        Time::HiRes::sleep(0.01);
    }

    Test::More::diag('waited in vain for ' . ($what // 'something'));

    return;
}


sub stats {
    my ($self) = @_;

    my $r = $self->get($self->{stats});

    return $r->status == 200 ? $r->json : undef;
}


# what must hold at the end of every test

sub expect_alert {
    my ($self, @patterns) = @_;

    push @{$self->{alerts}}, @patterns;

    return $self;
}


sub expect_kill {
    my ($self, $n) = @_;

    $self->{kills} += $n // 1;

    return $self;
}


# A list of what does not add up, empty if the books balance.

sub imbalance {
    my ($stats, $idle) = @_;

    my @wrong;

    my $check = sub {
        my ($name, $b, $routed) = @_;

        my @missing = grep { !defined $b->{$_} } 'admitted', @ENDS,
                           $routed ? qw(received invalid dropped) : ();

        return push @wrong, "$name: no @missing" if @missing;

        my $ends = 0;
        $ends += $b->{$_} for @ENDS;

        push @wrong, "$name: admitted $b->{admitted}, accounted $ends: "
                     . join ', ', map { "$_ $b->{$_}" } @ENDS
            if $b->{admitted} != $ends;

        push @wrong, "$name: in_flight $b->{in_flight}"
            if $idle && $b->{in_flight} != 0;

        return if !$routed;

        my $sum = $b->{invalid} + $b->{dropped} + $b->{admitted};

        push @wrong, "$name: received $b->{received}, invalid $b->{invalid} + "
                     . "dropped $b->{dropped} + admitted $b->{admitted} = $sum"
            if $b->{received} != $sum;
    };

    $check->('total', $stats, 1);

    for my $part (qw(kinds strategies)) {
        my $of = $stats->{$part};

        if (ref $of ne 'HASH') {
            push @wrong, "no $part";
            next;
        }

        $check->("$part.$_", $of->{$_}, $part eq 'kinds') for sort keys %$of;

        for my $key ('admitted', @ENDS) {
            my $sum = 0;
            $sum += $_->{$key} // 0 for values %$of;

            push @wrong, "$key: total $stats->{$key}, sum of $part $sum"
                if $sum != ($stats->{$key} // -1);
        }
    }

    for my $name (qw(inline spawn cpu_pool batch)) {
        push @wrong, "no strategies.$name"
            if !ref(($stats->{strategies} || {})->{$name});
    }

    return @wrong;
}


sub books {
    my ($self) = @_;

    my $stats;
    my $deaf = 0;

    $self->{read} = 1;

    $self->wait_for(sub {
        if (my $now = $self->stats) {
            $stats = $now;
            $deaf = 0;

            return !defined $now->{in_flight} || $now->{in_flight} == 0;
        }

        return ++$deaf == 10;
    }, 'all jobs to end');

    return "no answer from $self->{stats}" if !$stats || $deaf;
    return imbalance($stats, 1);
}


sub done {
    my ($self) = @_;

    return if $self->{done}++ || $self->{owner} != $$;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    if ($self->{guard}) {
        if ($self->{master} && defined $self->{stats}) {
            $self->_check('books balance', $self->books);

        } elsif (defined $self->{stats} && !$self->{read}) {
            $self->_check('books balance', 'nginx was stopped before its books '
                                           . 'were read: call books, or set '
                                           . 'stats to undef');
        }

        $self->_check('no process is left', $self->_end);
        $self->_check('no alerts', $self->_alerts);
        $self->_check('no sanitizer reports', $self->_reports);
        $self->_check('workers left with code 0', $self->_exits);

        close delete $self->{guard};
        waitpid delete $self->{guard_pid}, 0;

    } else {
        $self->_check('no sanitizer reports', $self->_reports);
    }

    if ($ENV{TEST_LEAVE}) {
        Test::More::diag("left: $self->{dir}");

    } else {
        File::Path::remove_tree($self->{dir});
    }

    $self->{locks} = [];

    return;
}


sub _check {
    my ($self, $name, @wrong) = @_;

    $expected++;

    my $more = @wrong - 40;

    splice @wrong, 40, $more, "and $more more" if $more > 0;

    Test::More::ok(!@wrong, $name)
        or Test::More::diag(map { my $s = $_; chomp $s; "$s\n" } @wrong);

    return;
}


sub _end {
    my ($self) = @_;

    my @wrong;

    if (my $master = $self->master_pid) {
        push @wrong, 'the master has died' if !_alive($master);
        push @wrong, 'nginx did not stop at QUIT' if !$self->stop;
    }

    if (!$self->wait_for(sub { !$self->_group }, 'all to leave', 5)) {
        push @wrong, map { "left: $_" } $self->_group;
        kill 9, $self->_group;
    }

    syswrite $self->{guard}, join '', map { "-$_\n" } @{$self->{groups}};

    return @wrong;
}


sub _alerts {
    my ($self) = @_;

    my $kills = $self->{kills};
    my @wrong;

    LINE: for my $line (@{$self->_log->{lines}}) {
        next if $line !~ / \[(?:alert|emerg)\] /;

        for my $pattern (@{$self->{alerts}}) {
            next LINE if $line =~ $pattern;
        }

        next if $line =~ / exited on signal \d+/ && $kills-- > 0;

        push @wrong, $line;
    }

    return @wrong;
}


sub _reports {
    my ($self) = @_;

    my @wrong = grep { $_ =~ $SANITIZER } @{$self->_log->{lines}};

    for my $file (glob "$self->{dir}/logs/*.out") {
        push @wrong, grep { $_ =~ $SANITIZER } split /^/, _slurp($file);
    }

    for my $file (glob "$self->{dir}/logs/{asan,valgrind}.*") {
        my @report = split /^/, _slurp($file);

        push @wrong, splice @report, 0, 30;
    }

    return @wrong;
}


sub _exits {
    my ($self) = @_;

    my @bad = grep { $_ ne 'with code 0' } @{$self->_log->{exits} || []};

    return if @bad <= $self->{kills};
    return map { "a worker exited $_" } @bad;
}


END {
    my $status = $?;
    my @mine = grep { $_->{owner} == $$ } @all;

    if (@mine) {
        my $plan = Test2::API::test2_stack()->top->plan // '';

        if ($plan eq 'SKIP') {
            File::Path::remove_tree($_->{dir}) for @mine;

        } else {
            $_->done for @mine;

            Test::More::done_testing($open_plan ? () : $expected)
                if $plan eq '';
        }
    }

    $? = $status;
}


package Helix::Connection;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes ();


sub new {
    my ($class, $port, $timeout) = @_;

    my $self = bless { buffer => '', timeout => $timeout }, $class;

    $self->{socket} = IO::Socket::INET->new(
        Proto => 'tcp', PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => $timeout * Helix::SLOW
    ) or die "cannot connect to port $port: $@";

    $self->{socket}->blocking(0);
    setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;

    return $self;
}


sub socket { $_[0]{socket} }
sub error { $_[0]{error} // '' }
sub timeout { $_[0]{timeout} = $_[1]; $_[0] }


# What it can of the bytes: an answer may come before all are sent.

sub send {
    my ($self, $bytes) = @_;

    my $end = Time::HiRes::time() + $self->{timeout} * Helix::SLOW;
    my $select = IO::Select->new($self->{socket});
    my $sent = 0;

    while ($sent < length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, length($bytes) - $sent, $sent;

        if (defined $n) {
            $sent += $n;
            next;
        }

        if (!$!{EAGAIN} && !$!{EINTR}) {
            $self->{error} = "send: $!";
            last;
        }

        my $left = $end - Time::HiRes::time();

        if ($left <= 0) {
            $self->{error} = 'send: timeout';
            last;
        }

        $select->can_write($left < 0.05 ? $left : 0.05);

        $self->_read if $select->can_read(0);
        last if $self->{eof};
    }

    return $sent;
}


sub request {
    my ($self, $method, $path, $body, @headers) = @_;

    $self->send(Helix::message($method, $path, $body, @headers));

    return $self->recv(head => $method eq 'HEAD');
}


# One read, of which it is known that it does not block.

sub _read {
    my ($self) = @_;

    my $n = sysread $self->{socket}, $self->{buffer}, 65536,
                    length $self->{buffer};

    return 1 if $n || (!defined $n && ($!{EAGAIN} || $!{EINTR}));

    $self->{error} = defined $n ? 'eof' : "recv: $!";
    $self->{eof} = 1;

    return 0;
}


# Reads until $done->() is true, the end of the stream or the time.

sub _fill {
    my ($self, $done) = @_;

    my $end = Time::HiRes::time() + $self->{timeout} * Helix::SLOW;
    my $select = IO::Select->new($self->{socket});

    until ($done->()) {
        return 0 if $self->{eof};

        my $left = $end - Time::HiRes::time();

        if ($left <= 0 || !$select->can_read($left)) {
            $self->{error} = 'timeout';
            return 0;
        }

        $self->_read;
    }

    return 1;
}


sub recv {
    my ($self, %args) = @_;

    my $r;

    do {
        $self->_fill(sub { $self->{buffer} =~ /\r?\n\r?\n/ }) or return;
        $self->{buffer} =~ s/\A(.*?)\r?\n\r?\n//s;

        $r = Helix::Response->parse($1);

    } while ($r->status =~ /^1/ && !$args{interim});

    if ($args{head} || $r->status =~ /^(?:1..|204|304)$/) {
        return $r;
    }

    my $ok;
    my $length = $r->header('Content-Length');

    if (($r->header('Transfer-Encoding') // '') =~ /chunked/i) {
        $ok = $self->_chunked($r);

    } elsif (defined $length) {
        $ok = $self->_fill(sub { length $self->{buffer} >= $length });
        $r->{body} = substr $self->{buffer}, 0, $length, '';

    } else {
        $self->_fill(sub { 0 });
        $ok = $self->{eof};
        $r->{body} = $self->{buffer};
        $self->{buffer} = '';
    }

    $r->{error} = $self->error if !$ok;

    return $r;
}


sub _chunked {
    my ($self, $r) = @_;

    for ( ;; ) {
        $self->_fill(sub { $self->{buffer} =~ /\n/ }) or return 0;
        $self->{buffer} =~ s/\A([0-9A-Fa-f]+)[^\n]*\n// or do {
            $self->{error} = 'bad chunk';
            return 0;
        };

        my $size = hex $1;

        if ($size == 0) {
            $self->_fill(sub { $self->{buffer} =~ /\A(?:[^\r\n]+\r?\n)*\r?\n/ })
                or return 0;
            $self->{buffer} =~ s/\A(?:[^\r\n]+\r?\n)*\r?\n//;

            return 1;
        }

        $self->_fill(sub { length $self->{buffer} >= $size + 2 }) or return 0;

        $r->{body} .= substr $self->{buffer}, 0, $size;
        substr $self->{buffer}, 0, $size + 2, '';
    }
}


sub read_until {
    my ($self, $pattern) = @_;

    my $end;

    $self->_fill(sub { $self->{buffer} =~ $pattern and $end = $+[0] })
        or return;

    return substr $self->{buffer}, 0, $end, '';
}


# Has the other side closed, with nothing more to read?

sub closed {
    my ($self, $seconds) = @_;

    local $self->{timeout} = $seconds // $self->{timeout};

    $self->_fill(sub { length $self->{buffer} });

    return $self->{eof} && $self->{buffer} eq '' ? 1 : 0;
}


sub shutdown_write { shutdown $_[0]{socket}, 1 }
sub close { CORE::close $_[0]{socket} }


sub rst {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);

    return CORE::close $self->{socket};
}


package Helix::Response;

use strict;
use warnings;

my $json = JSON::PP->new->utf8->allow_bignum;


sub none { bless { status => 0, headers => {}, body => '', error => $_[1] } }


sub parse {
    my ($class, $text) = @_;

    my $self = $class->none(undef);
    my ($line, @lines) = split /\r?\n/, $text;

    $self->{line} = $line;
    $self->{status} = ($line // '') =~ m|^HTTP/1\.[01] (\d{3})| ? $1 : 0;

    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;

        push @{$self->{headers}{lc $name}}, $value;
    }

    return $self;
}


sub status { $_[0]{status} }
sub body { $_[0]{body} }
sub error { $_[0]{error} }


sub header {
    my ($self, $name) = @_;

    my $values = $self->{headers}{lc $name};

    return wantarray ? @{$values || []} : $values && join ', ', @$values;
}


sub json {
    my ($self) = @_;

    $self->{json} //= eval { $json->decode($self->{body}) } // {};

    return $self->{json};
}


1;

__END__

=head1 NAME

Helix - a small harness: one nginx, its clients and what must hold afterwards

=head1 SYNOPSIS

    use lib 't/lib';
    use Test::More;
    use Helix;

    my $t = Helix->new(tests => 1);

    $t->conf(<<'END');
    %%TEST_GLOBALS%%
    events {}
    http {
        %%TEST_GLOBALS_HTTP%%
        helix_zone helix;
        server {
            listen 127.0.0.1:%%PORT_0%%;
            location /jobs { helix_pass; }
            location /helix { helix_status; }
        }
    }
    END

    $t->start;

    is($t->get('/jobs?kind=hashmix&inputs=1')->status, 200, 'a job');

=head1 CONFIGURATION

=over

=item Helix->new(tests => N, stats => PATH, user => 'NAME GROUP', timeout => S)

C<tests> is the number of tests of the file, without those of the teardown; if
left out the file may have any number.  C<stats> is where the status location
answers, C<undef> if the configuration has none: the books are not read then.

=item $t->conf(TEXT)

Writes F<nginx.conf>.  C<%%TEST_GLOBALS%%> stands for the directives outside
of blocks (module, user, pid, error_log), C<%%TEST_GLOBALS_HTTP%%> for those of
C<http> (paths, access_log), C<%%PORT_0%%>, C<%%PORT_1%%> ... for free ports,
C<%%DIR%%> for the folder.  Before a C<reload> it may be called again.

=item $t->dir, $t->write(NAME, CONTENT), $t->read(NAME), $t->port(N)

The folder, its files and the ports.  Logs are F<logs/error.log> and
F<logs/access.log>.

=item $t->nginx_t(TEXT)

C<nginx -t>: returns (exit code, output).  Starts nothing; its log is
F<logs/test.log> and may have emergencies.

=back

=head1 PROCESSES

=over

=item $t->start, $t->stop, $t->stop('TERM'), $t->reload, $t->signal('USR1')

C<start> dies if nginx does not start.  C<stop> waits until the master is
gone, C<reload> until the new workers have started and all old ones have closed
their listening sockets.  Both return true, or false when it took too long.

=item $t->master_pid, $t->workers

C<workers> are those of the current generation that live.

=item $t->wait_for(sub { ... }, 'what', SECONDS)

Calls the code every 10 ms until it is true, and returns its value.

=back

=head1 REQUESTS

=over

=item $t->get(PATH, NAME => VALUE, ...)

=item $t->post(PATH, BODY, TYPE, NAME => VALUE, ...)

=item $t->request(METHOD, PATH, BODY, NAME => VALUE, ...)

=item $t->raw(BYTES, head => 0, port => 0)

Each on a connection of its own.  All return a response, with status 0 and
C<error> if there was none.

=item $r->status, $r->body, $r->json, $r->error, $r->header(NAME)

C<json> has exact integers, and is an empty hash if the body is not JSON.
C<header> returns all values in list context, else one string.  C<error> is set if the
answer was not complete.

=item $c = $t->connect(N)

A connection to port number N, 0 if left out.

=item $c->send(BYTES), $c->recv(head => 0, interim => 0)

C<recv> returns the next response, C<undef> at the end of the stream or when
the time is over (then C<< $c->error >> says which).  Responses to HEAD must be
announced.  1xx are passed over unless C<interim>.

=item $c->request(METHOD, PATH, BODY, NAME => VALUE, ...)

Both in one, without "Connection: close".

=item $c->read_until(qr/.../)

For streams: what came up to the end of the match.

=item $c->closed(SECONDS), $c->timeout(SECONDS)

C<closed> waits for the other side to close; false if bytes came instead.

=item $c->close, $c->shutdown_write, $c->rst

=item Helix::message(METHOD, PATH, BODY, NAME => VALUE, ...)

The bytes of a request.

=back

=head1 TEARDOWN

=over

=item $t->stats, $t->books, Helix::imbalance(STATS, IDLE)

C<stats> is the decoded status; C<books> waits until no job is in flight and
returns what does not add up then, an empty list if all does.

=item $t->expect_alert(qr/.../), $t->expect_kill(N)

What the test provokes: lines at level alert or emerg, and N workers that do
not exit with code 0.

=item $t->done

Is called at the end if the test does not: the books balance, C<QUIT> ends all
processes, there are no alerts and no reports of a sanitizer, all workers left
with code 0.  A test that has stopped nginx itself has its books read by
C<books> called before, or has C<stats> undefined; else that is a failure.

=back

=head1 ENVIRONMENT

=over

=item TEST_NGINX_BINARY, TEST_NGINX_MODULE

F</usr/sbin/nginx> and F<build/debian/ngx_http_helix_module.so>.  The module is
empty if it is linked into the binary.

=item TEST_WRAP

A command to run nginx with.  C<HELIX_LOGS> is the folder of the logs then.

=item TEST_SLOW

All times are longer by this factor.

=item TEST_DEBUG, TEST_LEAVE

Log at level debug; leave the folder.

=item TEST_ASAN_OPTIONS

More options for the address sanitizer.

=back

=cut
