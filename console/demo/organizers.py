"""Who runs the trips of the demo data: five organizers with their people and the questions they are asked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Company:
    """An organizer; `team` is name, role, bio; `faq` is question, answer."""

    slug: str
    name: str
    color: str
    description: str
    contacts: dict[str, str]
    team: tuple[tuple[str, str, str], ...]
    faq: tuple[tuple[str, str], ...]


COMPANIES = (
    Company(
        "altai-raft",
        "Алтай Рафт",
        "#0f766e",
        "Сплавы по Катуни, Чуе и Чулышману с 2009 года. Свои базы в Чемале и Акташе, гиды с допуском "
        "на пятую категорию, малые группы.",
        {
            "phone": "+73882250114",
            "email": "hello@altai-raft.example",
            "telegram": "@altairaft",
            "site": "https://altai-raft.example",
            "address": "Чемал, ул. Пчёлкина, 62",
        },
        (
            ("Егор Кыдыев", "Старший гид", "На Катуни с 1998 года. Знает каждый камень Мажоя."),
            ("Алёна Сафронова", "Гид, инструктор рафтинга", "Чемпионка России в классе R4."),
            ("Тимур Адыкаев", "Повар", "Готовит на костре на тридцать человек и не повторяется неделю."),
            ("Дарья Ломова", "Врач экспедиций", "Десять лет в санавиации."),
        ),
        (
            ("Нужен ли опыт?", "Нет. Перед выходом на воду два часа учимся на спокойном участке."),
            (
                "Что с собой взять?",
                "Термобельё, сменную обувь, личную посуду. Гидрокостюм и шлем выдаём.",
            ),
            (
                "Можно ли с детьми?",
                "С 10 лет на маршруты второй категории, с 14 лет на третью — вместе с родителями.",
            ),
            ("Как перенести бронь?", "Один раз бесплатно, не позднее чем за семь дней до начала."),
        ),
    ),
    Company(
        "karelia-paddles",
        "Карелия на вёслах",
        "#1d4ed8",
        "Каяки и рафты в Ладожских шхерах и на порогах Шуи. Выходные для компаний, школа каяка, "
        "детские смены.",
        {
            "phone": "+78142595010",
            "email": "info@karelia-paddles.example",
            "telegram": "@karelia_paddles",
            "site": "https://karelia-paddles.example",
            "address": "Петрозаводск, наб. Варкауса, 1",
        },
        (
            ("Пётр Вельяминов", "Инструктор по каякингу", "Прошёл Ладогу по периметру в одиночку."),
            ("Ирина Савельева", "Координатор групп", "Отвечает на любой вопрос за десять минут."),
            ("Матвей Ройко", "Гид", "Показывает нерп и никогда не обещает нерп."),
        ),
        (
            (
                "Что будет, если пойдёт дождь?",
                "Идём в любую погоду, кроме шторма. Шторм — переносим за наш счёт.",
            ),
            ("Где оставить машину?", "На охраняемой стоянке базы, бесплатно."),
            ("Есть ли спасжилеты на ребёнка?", "Да, от 15 килограммов."),
        ),
    ),
    Company(
        "kayak-north",
        "Kayak North",
        "#7c3aed",
        "Sea kayaking on the White and Barents Seas for people who prefer quiet. Groups of eight, "
        "British Canoeing leaders, dry suits for everybody.",
        {
            "phone": "+78152690221",
            "email": "crew@kayak-north.example",
            "telegram": "@kayaknorth",
            "site": "https://kayak-north.example",
            "address": "Murmansk, Portovy proezd 25",
        },
        (
            (
                "Hanna Berg",
                "Head guide",
                "Fifteen winters on the Kola coast; speaks Russian, Norwegian, English.",
            ),
            (
                "Lev Markin",
                "Sea kayak leader",
                "Keeps the group together in a two-metre swell and cheerful after.",
            ),
            ("Ines Duarte", "Naturalist", "Counts belugas for a living."),
        ),
        (
            ("Do I need my own dry suit?", "No. Send us your height and shoe size two weeks ahead."),
            ("What if the sea is too rough?", "Each trip has two spare days. We wait, bake bread, and go."),
            ("Which languages do guides speak?", "English and Russian on every trip."),
        ),
    ),
    Company(
        "baikal-trails",
        "Тропы Байкала",
        "#b45309",
        "Пешие маршруты и лагеря на Байкале: от прогулки на Камень Черского до недели на Ольхоне. "
        "Половина выходов бесплатна — нас поддерживает заповедник.",
        {
            "phone": "+73952480303",
            "email": "tropa@baikal-trails.example",
            "telegram": "@baikaltrails",
            "site": "https://baikal-trails.example",
            "address": "Листвянка, ул. Горького, 39",
        },
        (
            ("Баир Дамбаев", "Проводник", "Вырос на Ольхоне."),
            ("Юлия Рычкова", "Руководитель лагеря", "Двадцать смен и ни одного потерянного носка."),
        ),
        (
            ("Правда бесплатно?", "Да, оплачивается только трансфер, если он нужен."),
            ("Можно ли с собакой?", "На однодневные маршруты — да, на поводке."),
            ("Есть ли связь?", "На большей части маршрута — нет. У гида спутниковый телефон."),
        ),
    ),
    Company(
        "dom-u-zaliva",
        "Дом у залива",
        "#be123c",
        "Ужины, банкеты и свадьбы на берегу Куршского залива. Своя коптильня и причал.",
        {
            "phone": "+74012310077",
            "email": "zal@dom-u-zaliva.example",
            "telegram": "@domuzaliva",
            "site": "https://dom-u-zaliva.example",
            "address": "Рыбачий, ул. Победы, 34",
        },
        (
            ("Марта Вилкас", "Шеф-повар", "Копчёный угорь, ржаной хлеб, ничего лишнего."),
            ("Антон Резник", "Управляющий залом", "Помнит, кто с кем не сидит."),
        ),
        (
            ("Есть ли постное меню?", "Да, скажите при бронировании."),
            ("Можно ли прийти с ребёнком?", "До 12 лет — за половину цены, место за столом занимается."),
        ),
    ),
)
