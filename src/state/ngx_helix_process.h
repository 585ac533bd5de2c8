
/*
 * Who is alive: a process is known by its pid and its start time, so that a
 * reused pid is not mistaken for the old process.  Any thread; reads /proc.
 */

#ifndef NGX_HELIX_PROCESS_H_INCLUDED
#define NGX_HELIX_PROCESS_H_INCLUDED


#include <ngx_config.h>
#include <ngx_core.h>


/* 22 bits of pid (the kernel's largest) below 42 bits of start time in clock
   ticks since boot; never 0. */
typedef uint64_t  ngx_helix_process_t;


ngx_helix_process_t ngx_helix_process_self(void);
ngx_pid_t ngx_helix_process_pid(ngx_helix_process_t process);

/* False only when it is certain: gone, another start time, or a zombie whose
   threads have all ended. */
ngx_uint_t ngx_helix_process_alive(ngx_helix_process_t process);

/*
 * A word in shared memory that one process at a time holds, for some 100 us of
 * work; it is taken over from a dead one, whose work is half done.  NGX_OK; or
 * NGX_BUSY, with "wait" after some ms of waiting.  Event loop, master.
 */
ngx_int_t ngx_helix_process_lock(ngx_helix_process_t *word, ngx_uint_t wait);
void ngx_helix_process_unlock(ngx_helix_process_t *word);


/* Processors that this process may use: its affinity and the cpu quota of its
   control groups (version 2), rounded up; at least 1.  Config time. */
ngx_uint_t ngx_helix_process_cpus(void);


#endif /* NGX_HELIX_PROCESS_H_INCLUDED */
