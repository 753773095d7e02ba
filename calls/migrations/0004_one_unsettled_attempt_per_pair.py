import django.db.models.deletion
from django.db import migrations, models

COPY_FROM_CALLS = """
    UPDATE calls_dialattempt AS attempt
       SET account_id = call.account_id, from_number = call.from_number, to_number = call.to_number
      FROM calls_call AS call
     WHERE call.id = attempt.call_id
"""


class Migration(migrations.Migration):
    # The rows are filled between two changes of their table.
    atomic = False

    dependencies = [
        ("accounts", "0002_suppression_and_stored_answers"),
        ("calls", "0003_memory_used"),
    ]

    operations = [
        migrations.AddField(
            model_name="dialattempt",
            name="account",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="dial_attempts",
                to="accounts.account",
            ),
        ),
        migrations.AddField(
            model_name="dialattempt",
            name="from_number",
            field=models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="dialattempt",
            name="to_number",
            field=models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
        migrations.RunSQL(COPY_FROM_CALLS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="dialattempt",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="dial_attempts",
                to="accounts.account",
            ),
        ),
        migrations.AddConstraint(
            model_name="dialattempt",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["pending", "unknown"])),
                fields=("account", "from_number", "to_number"),
                name="calls_dialattempt_one_unsettled_per_pair",
            ),
        ),
    ]
