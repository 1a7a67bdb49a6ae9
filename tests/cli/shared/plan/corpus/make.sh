#!/bin/sh
# Makes the files of this folder that programs write, from source.csv. README.md tells the versions. PYTHON must have
# pandas, polars, pyarrow, duckdb and this project; Rscript, soffice, sqlite3 and jq must be there.
set -eu
cd "$(dirname "$0")"

"$PYTHON" - <<'END'
import warnings

import duckdb
import pandas as pd
import polars as pl
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

DATES = ["start_fielding_at", "end_fielding_at"]
warnings.simplefilter("ignore")
plan = pd.read_csv("source.csv")
for name in DATES:
    plan[name] = pd.to_datetime(plan[name], utc=True)
plan.to_csv("pandas.csv", index=False)
plan.to_csv("pandas.tsv", index=False, sep="\t")
plan.to_csv("pandas-row-names.csv")
pd.read_csv("pandas-row-names.csv").to_csv("pandas-unnamed.csv", index=False)
plan.to_csv("pandas-nan.csv", index=False, na_rep="NaN")
plan.assign(**{name: plan[name].dt.tz_localize(None) for name in DATES}).to_csv("pandas-naive.csv", index=False)
plan.assign(account_id=[101, None, 101]).to_csv("pandas-float.csv", index=False)
plan.assign(fielding_run_id=[42, 43, None]).to_csv("pandas-float-ids.csv", index=False)
plan.to_json("pandas.jsonl", orient="records", lines=True, date_format="iso")
plan.to_json("pandas-epoch.jsonl", orient="records", lines=True)
plan.to_json("pandas-array.json", orient="records", date_format="iso")
plan.to_json("pandas-columns.json")
plan.to_json("pandas-split.json", orient="split")
plan.to_csv("pandas.csv.gz", index=False)
failed = pd.read_csv("failed.csv")
for name in DATES:
    failed[name] = pd.to_datetime(failed[name])
failed.to_csv("pandas-failed.csv", index=False)

plan = pl.read_csv("source.csv").with_columns(pl.col(DATES).str.to_datetime(time_zone="UTC"))
plan.write_csv("polars.csv")
plan.write_ndjson("polars.ndjson")
plan.write_json("polars-array.json")
plan.with_columns(pl.col(DATES).dt.replace_time_zone(None)).write_csv("polars-naive.csv")
plan.with_columns(pl.col(DATES).dt.convert_time_zone("Europe/Berlin")).write_csv("polars-berlin.csv")
plan.with_columns(pl.col(DATES).dt.strftime("%F %T %Z")).write_csv("polars-zone-name.csv")

plan = pyarrow.csv.read_csv("source.csv")
pyarrow.csv.write_csv(plan, "pyarrow.csv")
pyarrow.parquet.write_table(plan, "pyarrow.parquet")
pyarrow.feather.write_feather(plan, "pyarrow.feather")

duckdb.sql("SET TimeZone = 'UTC'")
duckdb.sql("COPY (FROM 'source.csv') TO 'duckdb.csv'")
duckdb.sql("COPY (FROM 'source.csv') TO 'duckdb.json'")
duckdb.sql("COPY (FROM 'source.csv') TO 'duckdb-array.json' (ARRAY true)")
duckdb.sql("COPY (FROM 'failed.csv') TO 'duckdb-failed.csv'")
duckdb.sql("SET TimeZone = 'Asia/Kolkata'")
duckdb.sql("COPY (FROM 'source.csv') TO 'duckdb-kolkata.csv'")
with duckdb.connect("whole.duckdb") as database:
    database.sql("CREATE TABLE plan AS FROM 'source.csv'")
with open("whole.duckdb", "rb") as whole, open("head.duckdb", "wb") as head:
    head.write(whole.read(4096))
END
rm -f whole.duckdb

rm -f sqlite.db
sqlite3 sqlite.db ".import --csv source.csv plan"
sqlite3 -csv -header sqlite.db "SELECT * FROM plan" > sqlite.csv
sqlite3 -csv sqlite.db "SELECT * FROM plan" > sqlite-no-header.csv
sqlite3 -header sqlite.db "SELECT * FROM plan" > sqlite-list.txt
sqlite3 -json sqlite.db "SELECT * FROM plan" > sqlite-array.json
sqlite3 -column -header sqlite.db "SELECT * FROM plan" > sqlite-column.txt
sqlite3 -markdown sqlite.db "SELECT * FROM plan" > sqlite-markdown.txt
sqlite3 -box sqlite.db "SELECT * FROM plan" > sqlite-box.txt

jq -c '.[]' duckdb-array.json > jq.jsonl
jq '.[]' duckdb-array.json > jq-pretty.json
jq -r '(.[0] | keys_unsorted | @csv), (.[] | [.[]] | @csv)' duckdb-array.json > jq.csv
jq -c '.runs[] + {action: "pause"}' sandbox.json > jq-sandbox.jsonl
jq -c '.runs[] | {ref, action: "pause"}' sandbox.json > jq-refs.jsonl

Rscript - <<'END'
plan <- read.csv("source.csv", colClasses = "character", na.strings = "")
write.csv(plan, "r.csv", row.names = FALSE, na = "")
write.csv(plan, "r-row-names.csv", na = "")
write.csv(plan, "r-na.csv", row.names = FALSE)
write.table(plan, "r-table.csv", sep = ",", na = "")
times <- plan
for (name in c("start_fielding_at", "end_fielding_at"))
  times[[name]] <- as.POSIXct(times[[name]], format = "%Y-%m-%dT%H:%M:%SZ", tz = "UTC")
write.csv(times, "r-times.csv", row.names = FALSE, na = "")
for (name in c("start_fielding_at", "end_fielding_at"))
  times[[name]] <- ifelse(is.na(times[[name]]), "", format(times[[name]], usetz = TRUE))
write.csv(times, "r-zone-name.csv", row.names = FALSE)
numbers <- plan
numbers$fielding_run_id <- c(100000, 200000, 300000)
write.csv(numbers, "r-numbers.csv", row.names = FALSE, na = "")
END

soffice --headless --convert-to ods --outdir . source.csv > soffice.log
soffice --headless --convert-to xlsx --outdir . source.csv >> soffice.log
soffice --headless --convert-to xls --outdir . source.csv >> soffice.log
soffice --headless --convert-to html --outdir . source.csv >> soffice.log
mv source.ods libreoffice.ods
mv source.xlsx libreoffice.xlsx
mv source.xls libreoffice.xls
mv source.html libreoffice.html
soffice --headless --convert-to csv --outdir . libreoffice.ods >> soffice.log
soffice --headless --convert-to 'csv:Text - txt - csv (StarCalc):59,34,76' --outdir made libreoffice.xlsx >> soffice.log
mv made/libreoffice.csv libreoffice-semicolons.csv
rm -r made soffice.log
