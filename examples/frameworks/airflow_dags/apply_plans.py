"""A DAG that applies the plan of each day, with a journal for each logical date."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

# FIELDING_PLANS_FOLDER is on a disk that all workers of Airflow share.
COMMAND = """exec fielding apply "$FIELDING_PLANS_FOLDER/{{ ds }}.csv" \
    --journal "$FIELDING_PLANS_FOLDER/{{ ds }}.journal" --wait 600 --yes"""

with DAG("apply_plans", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):
    # A retry continues with the journal: it sends no write twice, and does not repeat rows that ended.
    BashOperator(task_id="apply", bash_command=COMMAND, retries=3, retry_delay=timedelta(minutes=5))
