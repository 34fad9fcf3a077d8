"""Starts a statement that never ends by itself, sees it run, cancels it, and goes on with the same session."""
import os
import threading

import psycopg

url = os.environ["DATABASE_URL"]
with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as other:
    ended = []

    def run():
        try:
            one.execute("select pg_sleep(600)")
        except psycopg.errors.QueryCanceled:
            ended.append("canceled")

    pid = one.info.backend_pid
    thread = threading.Thread(target=run)
    thread.start()
    while other.execute("select count(*) from pg_stat_activity where pid = %s and query like %s and state = 'active'",
                        (pid, "%pg_sleep%")).fetchone()[0] == 0:
        pass
    one.cancel()
    thread.join()
    assert ended == ["canceled"], ended
    one.rollback()
    assert one.execute("select 1").fetchone() == (1,)
