
/* Connections: opened when none is free, kept, one request at a time. */

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load_run.h"


#define LOAD_IN_SIZE       4096
#define LOAD_IN_SIZE_MAX   (4 * 1024 * 1024)


static bool load_conn_open(load_run_t *run, load_conn_t *conn);
static void load_conn_write(load_run_t *run, load_conn_t *conn);
static void load_conn_read(load_run_t *run, load_conn_t *conn);
static bool load_conn_parse(load_run_t *run, load_conn_t *conn, bool end);
static void load_conn_want(load_run_t *run, load_conn_t *conn, bool write);
static void load_conn_idle(load_run_t *run, load_conn_t *conn);
static void load_conn_unlink(load_run_t *run, load_conn_t *conn);
static void load_conn_fail(load_run_t *run, load_conn_t *conn,
    load_error_t error);
static void load_conn_format(load_run_t *run, load_conn_t *conn,
    load_request_t *request);


/* Is there a server at all?  Asked once, before the run. */

bool
load_conn_probe(load_run_t *run)
{
    int  fd, rc;

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return false;
    }

    rc = connect(fd, (struct sockaddr *) &run->options->address,
                 sizeof(struct sockaddr_in));
    if (rc == 0) {
        close(fd);
    }

    return rc == 0;
}


load_conn_t *
load_conn_get(load_run_t *run)
{
    load_conn_t  *conn;

    conn = run->idle_head;

    if (conn) {
        load_conn_unlink(run, conn);
        return conn;
    }

    if (run->nconns >= run->options->max_connections) {
        return NULL;
    }

    conn = run->spare;

    if (conn) {
        run->spare = conn->next;

    } else {
        conn = load_alloc(1, sizeof(load_conn_t));
        conn->out = load_alloc(1, run->out_size);
        conn->in = load_alloc(1, LOAD_IN_SIZE);
        conn->in_size = LOAD_IN_SIZE;
    }

    conn->fd = -1;
    conn->request = NULL;
    conn->next = NULL;
    conn->slot = run->nconns;
    run->conns[run->nconns++] = conn;

    if (run->nconns > run->conns_max) {
        run->conns_max = run->nconns;
    }

    return conn;
}


static bool
load_conn_open(load_run_t *run, load_conn_t *conn)
{
    int                 fd, on;
    struct epoll_event  event;

    on = 1;

    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return false;
    }

    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));

    conn->connecting = false;
    conn->reused = false;
    conn->in_len = 0;

    if (connect(fd, (struct sockaddr *) &run->options->address,
                sizeof(struct sockaddr_in)) == -1)
    {
        if (errno != EINPROGRESS) {
            close(fd);
            return false;
        }

        conn->connecting = true;
    }

    conn->writing = conn->connecting;

    event.events = conn->writing ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = conn;

    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
        close(fd);
        return false;
    }

    conn->fd = fd;
    run->opened++;

    return true;
}


void
load_conn_send(load_run_t *run, load_conn_t *conn, load_request_t *request)
{
    conn->request = request;
    request->conn = conn;

    if (conn->fd == -1 && !load_conn_open(run, conn)) {
        load_conn_fail(run, conn, LOAD_ERROR_CONNECT);
        return;
    }

    load_conn_format(run, conn, request);

    if (!conn->connecting) {
        load_conn_write(run, conn);
    }
}


static void
load_conn_format(load_run_t *run, load_conn_t *conn, load_request_t *request)
{
    int                  n;
    char                 fields[128], length[64];
    const load_class_t  *class;

    class = &run->options->classes[request->class];

    memcpy(conn->out, class->head, class->head_len);
    conn->out_len = class->head_len;
    conn->out_sent = 0;

    if (class->canary) {
        return;
    }

    n = snprintf(fields, sizeof(fields), class->post ? "%llu" : "id=%llu",
                 (unsigned long long) request->id);

    if (class->cost != LOAD_COST_NONE) {
        n += snprintf(fields + n, sizeof(fields) - (size_t) n,
                      class->post ? ",\"compute_cost\":%llu"
                                  : "&compute_cost=%llu",
                      (unsigned long long) request->cost);
    }

    if (class->budget) {
        n += snprintf(fields + n, sizeof(fields) - (size_t) n,
                      class->post ? ",\"latency_budget_ms\":%llu"
                                  : "&latency_budget_ms=%llu",
                      (unsigned long long) class->budget);
    }

    if (!class->post) {
        conn->out_len += (size_t) snprintf(conn->out + conn->out_len,
                                           run->out_size - conn->out_len,
                                           "%s HTTP/1.1\r\nHost: %s\r\n\r\n",
                                           fields, run->options->host);
        return;
    }

    snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n",
             strlen(class->query) + (size_t) n + 1);

    conn->out_len += (size_t) snprintf(conn->out + conn->out_len,
                                       run->out_size - conn->out_len,
                                       "%s%s%s}", length, class->query,
                                       fields);
}


static void
load_conn_write(load_run_t *run, load_conn_t *conn)
{
    ssize_t  n;

    while (conn->out_sent < conn->out_len) {
        n = send(conn->fd, conn->out + conn->out_sent,
                 conn->out_len - conn->out_sent, MSG_NOSIGNAL);

        if (n == -1) {
            if (errno == EINTR) {
                continue;
            }

            if (errno == EAGAIN) {
                load_conn_want(run, conn, true);
                return;
            }

            load_conn_fail(run, conn, LOAD_ERROR_CLOSED);
            return;
        }

        conn->out_sent += (size_t) n;
    }

    load_conn_want(run, conn, false);
}


static void
load_conn_want(load_run_t *run, load_conn_t *conn, bool write)
{
    struct epoll_event  event;

    if (conn->writing == write) {
        return;
    }

    conn->writing = write;

    event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = conn;

    (void) epoll_ctl(run->epoll, EPOLL_CTL_MOD, conn->fd, &event);
}


/* A connection that was closed in the same turn has no descriptor. */

void
load_conn_event(load_run_t *run, load_conn_t *conn, uint32_t events)
{
    int        error;
    socklen_t  len;

    if (conn->fd == -1) {
        return;
    }

    if (conn->connecting) {
        error = 0;
        len = sizeof(int);

        (void) getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);

        if (error) {
            load_conn_fail(run, conn, LOAD_ERROR_CONNECT);
            return;
        }

        if (!(events & EPOLLOUT)) {
            return;
        }

        conn->connecting = false;
        load_conn_write(run, conn);
        return;
    }

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        load_conn_read(run, conn);
        return;
    }

    load_conn_write(run, conn);
}


static void
load_conn_read(load_run_t *run, load_conn_t *conn)
{
    size_t   size;
    ssize_t  n;

    if (conn->in_len == conn->in_size) {

        if (conn->in_size >= LOAD_IN_SIZE_MAX) {
            load_conn_fail(run, conn, LOAD_ERROR_HTTP);
            return;
        }

        size = 2 * conn->in_size;
        conn->in = realloc(conn->in, size);
        if (conn->in == NULL) {
            fprintf(stderr, "load: no memory\n");
            exit(LOAD_FAILED);
        }

        conn->in_size = size;
    }

    n = recv(conn->fd, conn->in + conn->in_len, conn->in_size - conn->in_len,
             0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n > 0) {
        conn->in_len += (size_t) n;
    }

    /* bytes or an end that nobody has asked for */

    if (conn->request == NULL) {
        load_conn_unlink(run, conn);
        load_conn_close(run, conn, false);
        return;
    }

    if (n > 0) {
        (void) load_conn_parse(run, conn, false);
        return;
    }

    if (n == 0 && conn->in_len && load_conn_parse(run, conn, true)) {
        return;
    }

    if (conn->fd != -1) {
        load_conn_fail(run, conn, LOAD_ERROR_CLOSED);
    }
}


static bool
load_conn_parse(load_run_t *run, load_conn_t *conn, bool end)
{
    ptrdiff_t        n;
    load_answer_t    answer;
    load_request_t  *request;

    n = load_answer(&answer, conn->in, conn->in_len, end);

    if (n == 0) {
        return false;
    }

    if (n < 0 || (size_t) n < conn->in_len) {
        load_conn_fail(run, conn, LOAD_ERROR_HTTP);
        return true;
    }

    request = conn->request;
    conn->request = NULL;
    request->conn = NULL;
    conn->in_len = 0;

    if (answer.close || end || conn->out_sent < conn->out_len) {
        load_conn_close(run, conn, false);

    } else {
        conn->reused = true;
        load_conn_idle(run, conn);
    }

    load_answered(run, request, &answer);

    return true;
}


/* The longest idle one is taken next: all connections, and with them all
   workers of the server, get their part. */

static void
load_conn_idle(load_run_t *run, load_conn_t *conn)
{
    conn->next = NULL;
    conn->prev = run->idle_tail;

    if (run->idle_tail) {
        run->idle_tail->next = conn;

    } else {
        run->idle_head = conn;
    }

    run->idle_tail = conn;
}


static void
load_conn_unlink(load_run_t *run, load_conn_t *conn)
{
    if (conn->prev) {
        conn->prev->next = conn->next;

    } else {
        run->idle_head = conn->next;
    }

    if (conn->next) {
        conn->next->prev = conn->prev;

    } else {
        run->idle_tail = conn->prev;
    }

    conn->next = NULL;
    conn->prev = NULL;
}


/* Not for an idle one: unlink it before.  Its memory stays for the next. */

void
load_conn_close(load_run_t *run, load_conn_t *conn, bool rst)
{
    load_conn_t    *last;
    struct linger   linger = { 1, 0 };

    if (conn->fd != -1) {
        if (rst) {
            (void) setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger,
                              sizeof(struct linger));
        }

        close(conn->fd);
        conn->fd = -1;
    }

    if (conn->request) {
        conn->request->conn = NULL;
        conn->request = NULL;
    }

    last = run->conns[--run->nconns];
    last->slot = conn->slot;
    run->conns[last->slot] = last;

    conn->prev = NULL;
    conn->next = run->spare;
    run->spare = conn;
}


/* A server may close a kept connection at the moment in which it is used
   again: the request has not been read then, and is sent once more. */

static void
load_conn_fail(load_run_t *run, load_conn_t *conn, load_error_t error)
{
    bool             resend;
    load_request_t  *request;

    request = conn->request;
    resend = (error == LOAD_ERROR_CLOSED && conn->reused
              && conn->in_len == 0);

    load_conn_close(run, conn, false);
    load_broken(run, request, error, resend);
}
