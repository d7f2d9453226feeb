/*
 * One line an event on standard error, as text for people or JSON for machines.
 * Log where a failure ends, not where it passes.
 */
#ifndef STATOR_BASE_LOG_H
#define STATOR_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level least, enum log_format format);
/* Any thread. A line is written with one system call; a line repeated more than 10 times
 * a second from one place is counted instead and the count told once a second. room and format must live for ever
 * (literals): the format's address is the place. */
void log_write(enum log_level level, const char *room, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(room, ...) log_write(LOG_DEBUG, room, __VA_ARGS__)
#define log_info(room, ...)  log_write(LOG_INFO, room, __VA_ARGS__)
#define log_warn(room, ...)  log_write(LOG_WARN, room, __VA_ARGS__)
#define log_error(room, ...) log_write(LOG_ERROR, room, __VA_ARGS__)

#endif
