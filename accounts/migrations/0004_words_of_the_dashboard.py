from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_enforce_calling_hours"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="carrieraccount",
            options={"verbose_name": "Twilio account"},
        ),
    ]
